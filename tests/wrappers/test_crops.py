"""Averaged crops: where they lie, that every pixel is the mean of those on it, and the sizes that broke HINet's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from restore_cli.errors import DeviceMemoryError
from restore_cli.wrappers.crops import AveragedCrops, plan_crops

sides = st.integers(1, 70)


class Enlarge(nn.Module):
    """Nearest neighbour: an identity at any scale."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return picture.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


class Counts(nn.Module):
    """Gives the first crop 1, the second 2, and so on; remembers their sizes."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.sizes: list[tuple[int, int]] = []

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        height, width = picture.shape[-2:]
        self.sizes.append((height, width))
        return picture.new_full((1, 1, height * self.scale, width * self.scale), float(len(self.sizes)))


@pytest.mark.parametrize(
    ("length", "starts"),
    [
        (1, [0]),
        (200, [0]),
        (256, [0]),
        (257, [0, 1]),
        (400, [0, 144]),
        (512, [0, 256]),
        (513, [0, 129, 257]),
        (720, [0, 232, 464]),
        (1280, [0, 256, 512, 768, 1024]),
        (1000, [0, 248, 496, 744]),
    ],
)
def test_crops_of_256_lie_where_the_published_rule_puts_them(length, starts):
    assert plan_crops(length, 256) == [(start, min(start + 256, length)) for start in starts]


@given(length=st.integers(1, 3000), crop=st.integers(1, 300))
@settings(deadline=None)
def test_crops_cover_every_pixel_are_full_and_distinct_and_the_last_is_flush(length, crop):
    spans = plan_crops(length, crop)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(stop - start == min(crop, length) for start, stop in spans)
    assert all(before[0] < after[0] <= before[1] for before, after in zip(spans, spans[1:], strict=False))
    assert len(spans) <= -(-length // crop)


@given(
    height=sides,
    width=sides,
    crop=st.integers(1, 80),
    scale=st.sampled_from([1, 2, 3]),
    random_crops=st.sampled_from([0, 5]),
)
@settings(deadline=None, max_examples=100)
def test_an_identity_network_gives_the_picture_back_at_any_geometry(height, width, crop, scale, random_crops):
    picture = torch.rand(1, 2, height, width, dtype=torch.float64)
    before = picture.clone()
    generator = torch.Generator().manual_seed(0)
    crops = AveragedCrops(Enlarge(scale), crop, scale, random_crops=random_crops, generator=generator)
    torch.testing.assert_close(crops(picture), Enlarge(scale)(picture), atol=1e-12, rtol=0)
    assert torch.equal(picture, before)


@pytest.mark.parametrize(("height", "width"), [(200, 200), (200, 300), (300, 200), (1, 600)])
def test_a_picture_smaller_than_a_crop_is_run_whole_in_that_direction(height, width):
    # The official loop began before the first pixel here and left most of the result NaN.
    counts = Counts()
    restored = AveragedCrops(counts, 256, 1)(torch.zeros(1, 1, height, width))
    assert restored.isfinite().all()
    assert set(counts.sizes) == {(min(height, 256), min(width, 256))}


@pytest.mark.parametrize("scale", [1, 2])
def test_each_pixel_is_the_mean_of_the_crops_that_cover_it(scale):
    # Side 10, crops of 4: three at 0, 3, 6, so that pixels 3, 6 lie in two.
    result = AveragedCrops(Counts(scale), 4, scale)(torch.zeros(1, 1, 10, 10, dtype=torch.float64))
    row = torch.tensor([1, 1, 1, 1.5, 2, 2, 2.5, 3, 3, 3], dtype=torch.float64)  # crops 1, 2, 3
    column = torch.tensor([0, 0, 0, 1.5, 3, 3, 4.5, 6, 6, 6], dtype=torch.float64)  # and three more a row
    expected = (row + column[:, None]).repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    torch.testing.assert_close(result[0, 0], expected)


def test_random_crops_are_averaged_in_beside_the_regular_ones():
    counts = Counts()
    crops = AveragedCrops(counts, 8, 1, random_crops=20, generator=torch.Generator().manual_seed(3))
    plan = crops.plan(12, 16)
    assert len(plan) == 2 * 2 + 20
    assert plan[:4] == AveragedCrops(counts, 8, 1).plan(12, 16)
    assert all(0 <= top < bottom <= 12 and bottom - top == 8 for (top, bottom), _ in plan)
    assert all(0 <= left < right <= 16 and right - left == 8 for _, (left, right) in plan)
    assert {top for (top, _), _ in plan[4:]} == {0, 1, 2, 3, 4}  # borders included
    total, covering = torch.zeros(12, 16), torch.zeros(12, 16)
    for number, ((top, bottom), (left, right)) in enumerate(plan, start=1):
        total[top:bottom, left:right] += number
        covering[top:bottom, left:right] += 1
    torch.testing.assert_close(crops(torch.zeros(1, 1, 12, 16))[0, 0], total / covering)


def test_random_crops_follow_the_generator_and_repeat_on_every_call():
    def crops(seed):
        generator = torch.Generator().manual_seed(seed)
        return AveragedCrops(nn.Identity(), 8, 1, random_crops=4, generator=generator)

    first = crops(0)
    assert first.plan(40, 40) == first.plan(40, 40) == crops(0).plan(40, 40) != crops(1).plan(40, 40)


def test_a_generator_is_not_used_up():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    AveragedCrops(nn.Identity(), 8, 1, random_crops=4, generator=generator)(torch.rand(1, 1, 20, 20))
    assert torch.equal(generator.get_state(), before)


def test_random_crops_without_a_generator_are_refused():
    with pytest.raises(ValueError, match="generator"):
        AveragedCrops(nn.Identity(), 8, 1, random_crops=1)


def test_conditioning_goes_with_every_crop():
    class AddLevel(nn.Module):
        def forward(self, picture, sigma):
            return picture + sigma

    picture = torch.rand(1, 3, 20, 30)
    torch.testing.assert_close(AveragedCrops(AddLevel(), 16, 1)(picture, sigma=torch.tensor(0.25)), picture + 0.25)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_result_has_the_pictures_type_and_sums_are_at_least_single(dtype):
    picture = torch.rand(1, 1, 9, 9).to(dtype)
    crops = AveragedCrops(nn.Identity(), 8, 1, random_crops=30, generator=torch.Generator())
    assert crops(picture).dtype == dtype
    torch.testing.assert_close(crops(picture), picture, atol=1e-6, rtol=0)


def test_counts_reach_the_observer_in_order():
    seen: list[tuple[int, int]] = []
    AveragedCrops(nn.Identity(), 16, 1, on_crop=lambda *counts: seen.append(counts))(torch.rand(1, 1, 20, 40))
    assert seen == [(done, 6) for done in range(7)]


def test_running_out_of_memory_is_an_error_since_a_smaller_crop_would_be_another_result():
    class Full(nn.Module):
        def forward(self, picture):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(DeviceMemoryError, match="256 pixels"):
        AveragedCrops(Full(), 256, 1)(torch.rand(1, 1, 16, 16))


def test_an_error_that_is_not_about_memory_is_passed_on():
    class Broken(nn.Module):
        def forward(self, picture):
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        AveragedCrops(Broken(), 8, 1)(torch.rand(1, 1, 8, 8))
