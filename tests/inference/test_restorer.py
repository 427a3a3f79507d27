"""The contract of a Restorer, and the one order of the wrappers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from restore_cli.errors import DeviceError, InputError, RestoreError, UsageError
from restore_cli.inference.device import OnDevice, choose_device, choose_precision
from restore_cli.inference.restorer import Restorer
from restore_cli.models.build import Model, average_models
from restore_cli.models.registry import Network
from restore_cli.options import Precision, RunOptions
from restore_cli.wrappers.ensemble import Ensemble
from restore_cli.wrappers.pad import Padded, SizeRule
from restore_cli.wrappers.tile import Tiled
from restore_cli.wrappers.wne import NormalizationEquivariant
from tests.networks import small_network


def model(arch_id="unet", wne=False, **facts) -> Model:
    module = small_network(arch_id).float()
    known = {
        "module": module,
        "arch": arch_id,
        "scale": module.scale,
        "channels": 3,
        "size_rule": SizeRule(module.size_multiple, module.minimum_size),
        "radius_px": module.receptive_radius,
    }
    return Model("test", Network(**{**known, **facts}), wne)


def restorer(wne=False, model_facts=None, observer=None, **options) -> Restorer:
    return Restorer(model(wne=wne, **(model_facts or {})), RunOptions(device="cpu", **options), observer)


class Notes:
    def __init__(self):
        self.notes, self.seen = [], []

    def note(self, message):
        self.notes.append(message)

    def tiles(self, done, total):
        self.seen.append((done, total))


def test_the_wrappers_stand_in_the_order_of_the_design():
    chain = restorer(wne=True, tta=True)._chain
    kinds = []
    while True:
        kinds.append(type(chain))
        inner = next((part for part in chain.children()), None)
        if kinds[-1] is OnDevice:
            break
        chain = inner
    assert kinds == [Ensemble, NormalizationEquivariant, Tiled, Padded, OnDevice]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 7), (60, 10)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_size_and_type_comes_back_as_it_went_in(size, dtype):
    picture = torch.rand(2, 3, *size).to(dtype)
    before = picture.clone()
    restored = restorer()(picture)
    assert restored.shape == picture.shape
    assert restored.dtype == dtype
    assert torch.equal(picture, before)


def test_the_same_call_gives_the_same_result():
    ready, picture = restorer(), torch.rand(1, 3, 20, 20)
    ready(torch.rand(1, 3, 8, 8))
    assert torch.equal(ready(picture), ready(picture))


def test_results_are_not_clamped():
    restored = restorer(wne=True)(torch.rand(1, 3, 16, 16) * 4 - 2)
    assert restored.min() < 0 or restored.max() > 1


def test_results_can_be_used_in_training():
    restored = restorer()(torch.rand(1, 3, 8, 8))
    weight = torch.ones(1, requires_grad=True)
    (restored * weight).sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 3, 0, 8)])
def test_another_shape_is_an_error_that_shows_both(shape):
    with pytest.raises(InputError, match=r"\(N, 3, H, W\)"):
        restorer()(torch.rand(*shape))


def test_whole_numbers_are_refused():
    with pytest.raises(InputError, match="uint8"):
        restorer()(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_the_users_word_on_wne_beats_the_models():
    assert restorer(wne=True).wne
    assert not Restorer(model(wne=True), RunOptions("cpu", wne=False)).wne
    assert Restorer(model(wne=False), RunOptions("cpu", wne=True)).wne


def test_overlap_is_twice_the_reach_and_tiles_grow_to_hold_it():
    radius = small_network("unet").receptive_radius
    assert restorer().policy.overlap_px == 2 * radius
    small = restorer(tile_px=8).policy
    assert small.overlap_px == 2 * radius
    assert small.tile_px > small.overlap_px
    assert restorer(tile_px=8, overlap_px=2).policy.overlap_px == 2


def test_every_tile_size_gives_the_same_picture():
    picture = torch.rand(1, 3, 90, 70)
    whole = restorer(tile_px=0)(picture)
    for tile_px in (None, 40, 64):
        torch.testing.assert_close(restorer(tile_px=tile_px)(picture), whole, atol=1e-5, rtol=0)


class Asks(nn.Module):
    def forward(self, picture, sigma):
        return picture * 0 + sigma


def test_a_network_that_must_be_told_the_level_is_told_in_the_pictures_units():
    ready = Restorer(model(module=Asks(), conditioning="sigma"), RunOptions("cpu"))
    assert ready(torch.rand(1, 3, 8, 8), sigma_255=51).unique().item() == pytest.approx(0.2)
    with pytest.raises(UsageError, match="must be told") as caught:
        ready(torch.rand(1, 3, 8, 8))
    assert "--sigma" in caught.value.hint


def test_a_level_that_a_blind_network_cannot_use_is_not_ignored_in_silence():
    notes = Notes()
    restorer(observer=notes)(torch.rand(1, 3, 8, 8), sigma_255=25)
    assert any("--sigma is not used" in note for note in notes.notes)


class Overflows(nn.Module):
    """Leaves the range of half precision, not of single."""

    def forward(self, picture):
        return nn.functional.conv2d(picture, torch.full((3, 3, 1, 1), 1e5, device=picture.device)) * 1e-5


def test_a_tile_that_overflows_is_computed_again_in_single_precision():
    fallbacks = []
    half = OnDevice(Overflows(), torch.device("cpu"), Precision.FP16, on_fallback=lambda: fallbacks.append(1))
    single = OnDevice(Overflows(), torch.device("cpu"), Precision.FP32)
    picture = torch.rand(1, 3, 4, 4)
    assert torch.equal(half(picture), single(picture))
    assert fallbacks == [1]


class InPlace(nn.Module):
    def forward(self, picture):
        return picture.mul_(2)


def test_a_network_that_works_in_place_does_not_reach_the_callers_picture():
    picture = torch.rand(1, 3, 4, 4)
    before = picture.clone()
    restored = OnDevice(InPlace(), torch.device("cpu"), Precision.FP32)(picture)
    torch.testing.assert_close(restored, 2 * before)
    torch.testing.assert_close(picture, before, rtol=0, atol=0)


def test_values_that_are_no_numbers_never_leave():
    class Broken(nn.Module):
        def forward(self, picture):
            return picture / 0

    with pytest.raises(RestoreError, match="not numbers"):
        OnDevice(Broken(), torch.device("cpu"), Precision.FP32)(torch.rand(1, 3, 4, 4))


def test_half_precision_stays_close_to_single():
    picture = torch.rand(1, 3, 32, 32)
    single, half = (restorer(precision=precision)(picture) for precision in (Precision.FP32, Precision.BF16))
    assert 0 < (single - half).abs().max() < 0.05


@pytest.mark.parametrize("name", ["cuda:7", "gpu", "cpu:1", "xpu", ""])
def test_a_device_that_is_not_there_is_named(name):
    if torch.cuda.device_count() > 7:
        pytest.skip("this machine has eight GPUs")
    with pytest.raises(DeviceError, match="--device"):
        choose_device(name)


def test_auto_precision_is_single_on_the_cpu_and_half_only_where_it_is_safe():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert choose_precision(Precision.AUTO, cpu, ("fp16", "bf16")) is Precision.FP32
    assert choose_precision(Precision.AUTO, cuda, ("fp16", "bf16")) is Precision.FP16
    assert choose_precision(Precision.AUTO, cuda, ("bf16",)) is Precision.BF16
    assert choose_precision(Precision.AUTO, cuda, ()) is Precision.FP32
    assert choose_precision(Precision.BF16, cpu, ()) is Precision.BF16


def test_progress_is_told_from_zero_to_all():
    notes = Notes()
    restorer(observer=notes, tile_px=16, overlap_px=4)(torch.rand(1, 3, 40, 40))
    total = notes.seen[0][1]
    assert notes.seen == [(done, total) for done in range(total + 1)]
    assert total > 1


def test_the_average_of_models_is_the_mean_of_their_results():
    module = small_network("resnet", scale=1).float()
    first, second = model("unet"), Model("other", model(module=module, size_rule=SizeRule(), scale=1).network)
    picture = torch.rand(1, 3, 21, 18)
    results = [Restorer(each, RunOptions("cpu"))(picture) for each in (first, second)]
    together = Restorer(average_models([first, second]), RunOptions("cpu"))
    torch.testing.assert_close(together(picture), (results[0] + results[1]) / 2)
    assert "test + other" in together.model.name


def test_tiles_of_an_average_fall_where_each_member_needs_them():
    together = average_models([model("unet"), model("unet", size_rule=SizeRule(3))]).network
    assert together.tile_multiple == 24


@pytest.mark.parametrize(
    ("facts", "word"), [({"channels": 1}, "channels"), ({"conditioning": "sigma"}, "conditioning")]
)
def test_models_that_differ_in_kind_are_not_averaged(facts, word):
    with pytest.raises(UsageError, match=word):
        average_models([model("unet"), model("unet", **facts)])


def test_crops_stand_in_for_tiles_and_hide_nothing_of_a_small_picture():
    picture = torch.rand(1, 3, 20, 20)
    torch.testing.assert_close(restorer(crops_px=32)(picture), restorer()(picture))
    large = torch.rand(1, 3, 40, 56)
    notes = Notes()
    restored = restorer(crops_px=32, random_crops=2, observer=notes)(large)
    assert restored.shape == large.shape
    assert notes.seen[-1] == (6, 6)  # 2x2 that cover the picture, and two more


def test_local_statistics_of_a_small_picture_are_those_of_the_whole():
    facts = {"arch_id": "hinet", "radius_px": None}
    small, large = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 64, 64)
    large[..., 32:] *= 0.1
    plain = restorer(model_facts=facts)
    local = restorer(model_facts=facts, local_statistics_px=32)
    torch.testing.assert_close(local(small), plain(small), atol=1e-5, rtol=0)
    assert (local(large) - plain(large)).abs().max() > 1e-3


def test_the_papers_epsilon_reaches_the_wrapper():
    picture = torch.rand(1, 3, 16, 16) * 1e-4
    exact, papers = restorer(wne=True), restorer(wne=True, wne_eps=1e-5)
    assert torch.equal(exact(2 * picture), 2 * exact(picture))
    assert not torch.equal(papers(2 * picture), 2 * papers(picture))


def test_a_network_made_for_whole_pictures_is_not_cut_unless_asked():
    assert restorer(model_facts={"whole_picture": True}).policy.tile_px is None
    assert restorer(model_facts={"whole_picture": True}, tile_px=64).policy.tile_px is not None
