"""Tiling is invisible, whatever the size, the tile, the overlap and the scale, and whenever memory runs out."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from restore_cli.archs import ARCHITECTURES
from restore_cli.errors import DeviceMemoryError
from restore_cli.wrappers.pad import Padded, SizeRule
from restore_cli.wrappers.tile import Tiled, TilePolicy, is_out_of_memory, plan_axis
from tests.networks import small_network


class Enlarge(nn.Module):
    """Nearest neighbour: an identity at any scale."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return picture.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


class FailsAt(nn.Module):
    """Runs out of memory at the given calls, counted from 0."""

    def __init__(self, inner: nn.Module, calls: set[int]) -> None:
        super().__init__()
        self.inner = inner
        self.calls = calls
        self.seen = 0

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        if self.seen - 1 in self.calls:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.inner(picture)


sides = st.integers(1, 70)
# Where the radius is None, tiles are an approximation by nature.
BOUNDED = [arch_id for arch_id in sorted(ARCHITECTURES) if small_network(arch_id).receptive_radius is not None]


@given(
    length=st.integers(1, 500),
    tile=st.integers(1, 90),
    overlap=st.integers(0, 80),
    multiple=st.sampled_from([1, 2, 4, 8]),
)
@settings(deadline=None)
def test_spans_cover_the_axis_start_on_the_size_rule_and_share_the_overlap(length, tile, overlap, multiple):
    spans = plan_axis(length, tile, overlap, multiple)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(start % multiple == 0 and start < stop <= length for start, stop in spans)
    assert all(first[1] - second[0] >= overlap for first, second in pairwise(spans))
    assert all(first[0] < second[0] for first, second in pairwise(spans))
    # Only the last may be ragged: inside the picture a tile needs no padding.
    assert all((stop - start) % multiple == 0 for start, stop in spans[:-1])


@given(
    height=sides, width=sides, tile=st.integers(1, 80), overlap=st.integers(0, 40), scale=st.sampled_from([1, 2, 3, 4])
)
@settings(deadline=None, max_examples=150)
def test_an_identity_network_gives_the_picture_back_at_any_geometry(height, width, tile, overlap, scale):
    picture = torch.rand(1, 2, height, width, dtype=torch.float64)
    tiled = Tiled(Enlarge(scale), TilePolicy(tile, overlap), scale)
    torch.testing.assert_close(tiled(picture), Enlarge(scale)(picture), atol=1e-12, rtol=0)


def wrapped(arch_id: str, policy_for) -> tuple[nn.Module, nn.Module]:
    network = small_network(arch_id)
    padded = Padded(network, SizeRule(network.size_multiple, network.minimum_size), network.scale)
    return padded, Tiled(padded, policy_for(network), network.scale)


@pytest.mark.parametrize("arch_id", BOUNDED)
@given(height=sides, width=sides, stride=st.integers(1, 40), extra=st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_tiled_equals_whole_for_every_network_of_bounded_reach(arch_id, height, width, stride, extra):
    whole, tiled = wrapped(
        arch_id,
        lambda network: TilePolicy(
            2 * network.receptive_radius + extra + stride,
            2 * network.receptive_radius + extra,
            network.size_multiple,
            network.receptive_radius,
        ),
    )
    picture = torch.rand(1, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(tiled(picture), whole(picture), atol=1e-10, rtol=0)


@pytest.mark.parametrize("arch_id", BOUNDED)
def test_an_overlap_under_twice_the_reach_is_seen(arch_id):
    # Else the test above would prove nothing.
    whole, tiled = wrapped(arch_id, lambda network: TilePolicy(24, 2, network.size_multiple, network.receptive_radius))
    picture = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    assert (tiled(picture) - whole(picture)).abs().max() > 1e-6


@pytest.mark.parametrize("arch_id", BOUNDED)
def test_running_out_of_memory_at_any_call_changes_nothing(arch_id):
    whole, _ = wrapped(arch_id, lambda network: TilePolicy(None))
    network = small_network(arch_id)
    radius = network.receptive_radius
    policy = TilePolicy(2 * radius + 40, 2 * radius, network.size_multiple, radius)
    height, width = 2 * radius + 75, 2 * radius + 61
    picture = torch.rand(1, 3, height, width, dtype=torch.float64)
    expected = whole(picture)
    calls = policy.count(height, width)
    assert calls > 1
    for failing in range(calls):
        inner = FailsAt(whole, {failing})
        retried: list[tuple[int, str]] = []
        tiled = Tiled(inner, policy, network.scale, on_retry=lambda *told, retried=retried: retried.append(told))
        torch.testing.assert_close(tiled(picture), expected, atol=1e-10, rtol=0)
        assert len(retried) == 1 and retried[0][1] == "CUDA out of memory"


def test_a_picture_run_whole_is_cut_when_memory_runs_out():
    picture = torch.rand(1, 1, 64, 48)
    inner = FailsAt(Enlarge(), {0, 1})
    sides_seen: list[int] = []
    tiled = Tiled(inner, TilePolicy(None, 8), 1, on_retry=lambda tile_px, reason: sides_seen.append(tile_px))
    torch.testing.assert_close(tiled(picture), picture)
    assert sides_seen == sorted(sides_seen, reverse=True)
    assert len(sides_seen) == 2


def test_never_enough_memory_is_an_error_with_a_way_out():
    tiled = Tiled(FailsAt(Enlarge(), set(range(1000))), TilePolicy(64, 8), 1)
    with pytest.raises(DeviceMemoryError) as caught:
        tiled(torch.rand(1, 1, 64, 64))
    assert "--device cpu" in caught.value.hint


def test_an_error_that_is_not_about_memory_is_passed_on():
    class Broken(nn.Module):
        def forward(self, picture):
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        Tiled(Broken(), TilePolicy(8), 1)(torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (torch.OutOfMemoryError("anything"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (RuntimeError("could not create a primitive"), True),
        (MemoryError(), True),
        (RuntimeError("The size of tensor a (3) must match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised_on_every_device(error, verdict):
    assert is_out_of_memory(error) is verdict


def test_tile_counts_reach_the_observer_in_order():
    seen: list[tuple[int, int]] = []
    policy = TilePolicy(32, 4)
    Tiled(Enlarge(), policy, 1, on_tile=lambda done, total: seen.append((done, total)))(torch.rand(1, 1, 60, 90))
    total = policy.count(60, 90)
    assert seen == [(done, total) for done in range(total + 1)]


def test_neighbours_fade_where_the_reach_is_unknown():
    class Counts(nn.Module):
        """Gives each tile another grey, so that the blend itself shows."""

        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, picture):
            self.calls += 1
            return torch.full_like(picture, float(self.calls))

    result = Tiled(Counts(), TilePolicy(40, 16), 1)(torch.zeros(1, 1, 1, 64, dtype=torch.float64))[0, 0, 0]
    steps = result.diff()
    assert steps.min() >= 0
    assert steps.max() <= 0.2  # no jump: the step of 1 is spread over the overlap
