"""Norm schemes on their own: what each computes, keeps and refuses. Facts 24, 27 and 28 of the specification."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from restore_cli.archs.norms import NORM_SCHEMES, norm_scheme_of, plain_norm, residual_norm

KEYS = {
    "layernorm": {"weight", "bias"},
    "iln": {"gamma", "beta"},
    "rmsnorm": {"weight"},
    "layerscale": {"weight", "bias", "gain"},
    "rezero": {"gain"},
    "instance": {"weight", "bias"},
    "batch": {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"},
    "none": set(),
}
BATCH_INDEPENDENT = [scheme for scheme in NORM_SCHEMES if scheme != "batch"]


def tokens(*shape: int, dtype=torch.float64, seed=0) -> torch.Tensor:
    """Tokens whose deviations and means differ: from token to token, and from sample to sample."""
    generator = torch.Generator().manual_seed(seed)
    shape = shape or (2, 4, 6, 8)
    spread = 10 ** torch.rand(*shape[:-1], 1, generator=generator, dtype=dtype)
    return spread * torch.randn(*shape, generator=generator, dtype=dtype) + torch.arange(shape[0]).view(-1, 1, 1, 1)


def randomized(norm: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 2)
    return norm.double().eval().requires_grad_(False)


def per_sample(values: torch.Tensor) -> torch.Tensor:
    return values.flatten(1)


@pytest.mark.parametrize("scheme", NORM_SCHEMES)
def test_a_residual_norm_keeps_the_shape_and_says_by_what_to_rescale(scheme):
    norm = randomized(residual_norm(scheme, 8))
    normalized, rescale = norm(tokens())
    assert normalized.shape == (2, 4, 6, 8)
    assert set(norm.state_dict()) == KEYS[scheme]
    shapes = {"iln": (2, 1, 1, 1), "layerscale": (8,), "rezero": (1,)}
    assert tuple(getattr(rescale, "shape", ())) == shapes.get(scheme, ())
    assert scheme in shapes or rescale == 1


@pytest.mark.parametrize("scheme", NORM_SCHEMES)
def test_a_norm_without_a_residual_keeps_the_shape(scheme):
    norm = randomized(plain_norm(scheme, 8))
    assert norm(tokens()).shape == (2, 4, 6, 8)
    # There is nothing to put a gain on.
    assert set(norm.state_dict()) == KEYS[scheme] - {"gain"}


@pytest.mark.parametrize("make", [residual_norm, plain_norm])
def test_an_unknown_scheme_is_refused_with_the_known_ones(make):
    with pytest.raises(ValueError, match="'groupnorm' is unknown; known: layernorm, iln"):
        make("groupnorm", 8)


def test_layernorm_instance_batch_and_rms_are_torchs_own():
    each = tokens()
    flat = each.flatten(1, 2).transpose(1, 2)  # channels first, as torch has it
    weight, bias = torch.rand(2, 8, dtype=torch.float64)

    def ours(scheme):
        norm = residual_norm(scheme, 8).double()
        norm.weight.data, bias_of = weight, getattr(norm, "bias", None)
        if bias_of is not None:
            bias_of.data = bias
        return norm(each)[0].detach()

    def unflattened(result):
        return result.transpose(1, 2).unflatten(1, (4, 6))

    torch.testing.assert_close(ours("layernorm"), functional.layer_norm(each, (8,), weight, bias, 1e-5))
    torch.testing.assert_close(ours("rmsnorm"), functional.rms_norm(each, (8,), weight, 1e-6))
    torch.testing.assert_close(
        ours("instance"), unflattened(functional.instance_norm(flat, weight=weight, bias=bias, eps=1e-5))
    )
    torch.testing.assert_close(
        ours("batch"),  # in training mode, hence by statistics of the batch
        unflattened(functional.batch_norm(flat, None, None, weight, bias, training=True, eps=1e-5)),
    )


def test_batch_norm_evaluates_by_the_statistics_of_training():
    norm = residual_norm("batch", 8).double()
    for _ in range(200):
        norm(tokens())
    trained, _ = norm(tokens())
    evaluated, _ = norm.eval()(tokens()[:1])
    torch.testing.assert_close(evaluated, trained[:1], rtol=0.01, atol=0.01)


def test_layerscale_is_layernorm_with_a_small_gain_per_channel():
    norm = residual_norm("layerscale", 8).double()
    normalized, gain = norm(tokens())
    torch.testing.assert_close(normalized, functional.layer_norm(tokens(), (8,)))
    assert torch.equal(gain, torch.full((8,), 1e-5).double())


def test_rezero_starts_as_the_identity_and_normalises_nothing():
    each = tokens()
    normalized, gain = residual_norm("rezero", 8).double()(each)
    assert torch.equal(normalized, each)
    assert torch.equal(each + gain * normalized**2, each)


def test_none_returns_the_tokens_themselves():
    each = tokens()
    assert residual_norm("none", 8)(each) == (each, 1.0)
    assert plain_norm("none", 8)(each) is each


def test_fact_24_iln_has_mean_zero_and_variance_one_per_sample():
    each = tokens()
    normalized, rescale = residual_norm("iln", 8, eps=0).double()(each)
    torch.testing.assert_close(per_sample(normalized).mean(1), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(per_sample(normalized).var(1, correction=0), torch.ones(2).double())
    torch.testing.assert_close(rescale.flatten(), per_sample(each).std(1, correction=0))


def test_fact_24_iln_keeps_how_strongly_tokens_differ_and_layernorm_does_not():
    deviations = tokens().std(dim=-1)
    ratio = deviations[0, 0, 0] / deviations[0, 1, 1]
    assert not 0.8 < ratio < 1.25
    for scheme, expected in (("iln", ratio), ("layernorm", torch.ones(()).double())):
        normalized, _ = residual_norm(scheme, 8).double()(tokens())
        found = normalized.std(dim=-1)
        torch.testing.assert_close(found[0, 0, 0] / found[0, 1, 1], expected, rtol=1e-4, atol=0)


def test_fact_27_the_iln_norm_without_a_residual_is_an_exact_affine():
    norm = randomized(plain_norm("iln", 8))
    each, other = tokens(), tokens(seed=1)
    assert torch.equal(norm(each), each * norm.gamma + norm.beta)
    # No statistics: what one token becomes does not depend on the others.
    mixed = torch.where(torch.rand(2, 4, 6, 1) < 0.5, each, other)
    assert torch.equal(norm(mixed), torch.where(mixed == each, norm(each), norm(other)))


@pytest.mark.parametrize("scheme", BATCH_INDEPENDENT)
def test_fact_28_statistics_are_independent_of_other_samples(scheme):
    norm = randomized(residual_norm(scheme, 8))
    both, _ = norm(tokens())
    alone, _ = norm(tokens()[1:])
    torch.testing.assert_close(both[1:], alone, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("scheme", BATCH_INDEPENDENT)
def test_fact_28_training_and_evaluation_compute_the_same(scheme):
    norm = randomized(residual_norm(scheme, 8))
    for found, expected in zip(norm.train()(tokens()), norm.eval()(tokens()), strict=True):
        assert found is expected or torch.equal(torch.as_tensor(found), torch.as_tensor(expected))


def test_fact_28_half_precision_tokens_get_float32_statistics():
    # In float16 the sum of squares of a single one of these tokens is infinite.
    each = (1e4 * tokens(1, 16, 16, 8)).clamp(-6e4, 6e4).half()
    exact, deviation = residual_norm("iln", 8)(each.float())
    for half in (each, each.bfloat16()):
        with torch.autocast("cpu", dtype=half.dtype):
            normalized, rescale = residual_norm("iln", 8)(half)
        assert normalized.dtype == rescale.dtype == torch.float32
        close = {"rtol": 2e-3, "atol": 2e-2} if half.dtype is torch.bfloat16 else {}
        torch.testing.assert_close(normalized, exact, **close)
        torch.testing.assert_close(rescale, deviation, **close)


def test_a_network_in_half_precision_gets_half_precision_back():
    normalized, rescale = residual_norm("iln", 8).half()(tokens().half())
    assert normalized.dtype == rescale.dtype == torch.float16


def test_fact_28_eps_is_accepted_as_text():
    # The authors' option file writes 1e-4, which YAML reads as a string.
    assert torch.equal(
        residual_norm("iln", 8, eps="1e-4")(tokens(dtype=torch.float32))[0],
        residual_norm("iln", 8)(tokens(dtype=torch.float32))[0],
    )


def test_eps_is_inside_the_root_of_both_the_normaliser_and_the_rescale():
    each = torch.full((1, 2, 2, 8), 3.0)
    each[..., 0] += 1e-3
    normalized, rescale = residual_norm("iln", 8, eps=0.25)(each)
    torch.testing.assert_close(rescale.item(), 0.5, rtol=1e-5, atol=0)
    torch.testing.assert_close(normalized * rescale, each - each.mean())


def test_iln_keeps_nothing_between_calls_and_networks_may_differ_in_eps():
    coarse, fine = residual_norm("iln", 8, eps=1.0), residual_norm("iln", 8, eps=1e-6)
    each = tokens(dtype=torch.float32) / 100
    before = {name: value.clone() for name, value in coarse.state_dict().items()}
    first, _ = coarse(each)
    # Another network in between, and a nested call on other tokens.
    nested, _ = coarse(fine(each)[0])
    again, _ = coarse(each)
    assert torch.equal(first, again)
    assert not torch.equal(first, nested)
    assert not list(coarse.buffers())
    assert all(torch.equal(value, before[name]) for name, value in coarse.state_dict().items())
    assert not any(isinstance(value, torch.Tensor) for value in vars(coarse).values())


def test_a_flat_sample_among_others_gives_finite_values_and_gradients():
    each = torch.cat([torch.full((1, 4, 6, 8), 7.0), tokens(1, 4, 6, 8, dtype=torch.float32)]).requires_grad_()
    normalized, rescale = residual_norm("iln", 8)(each)
    (rescale * normalized.square()).sum().backward()
    assert torch.equal(normalized[0], torch.zeros(4, 6, 8))
    assert each.grad.isfinite().all()


@pytest.mark.parametrize("make", [residual_norm, plain_norm])
def test_iln_refuses_the_weights_of_a_layernorm_with_the_reason(make):
    network = nn.ModuleDict({"norm1": make("iln", 8)})
    weights = nn.ModuleDict({"norm1": make("layernorm", 8)}).state_dict()
    for strict in (True, False):
        with pytest.raises(RuntimeError, match=r"'norm1\.weight' belongs to a LayerNorm; .* trained with i-LN") as info:
            network.load_state_dict(weights, strict=strict)
        assert "\n" not in str(info.value)


@pytest.mark.parametrize("scheme", NORM_SCHEMES)
def test_the_scheme_is_recovered_from_the_keys(scheme):
    state_dict = nn.ModuleDict({"norm1": residual_norm(scheme, 8)}).state_dict()
    # An instance norm has the keys of a LayerNorm, so the file has to say.
    stated = {"norm": "instance"} if scheme == "instance" else {}
    assert norm_scheme_of(state_dict, "norm1", stated) == scheme
