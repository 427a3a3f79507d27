from __future__ import annotations

import numpy as np
import pytest

from restore_cli.evaluation.embed import PictureBudget, lossless_uri
from tests.evaluation.evaluations import embedded
from tests.pictures import values

NOISE = np.random.default_rng(0).integers(0, 256, (6, 300, 400, 3), np.uint8)


def size(uris):
    return sum(len(uri) for uri in uris) * 3 // 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (41, 23)])
def test_lossless_means_every_pixel(shape):
    pixels = values(*shape)
    (decoded,) = embedded(lossless_uri(pixels))
    assert np.array_equal(decoded, pixels)


def test_within_its_budget_a_page_is_exact_and_says_nothing():
    uris, remark = PictureBudget(1, 10_000_000).embed(NOISE[:2], [None, None])
    assert remark == ""
    assert all(np.array_equal(*each) for each in zip(embedded(" ".join(uris)), NOISE, strict=False))


@pytest.mark.parametrize(
    ("share_bytes", "said", "shape"),
    [
        (600_000, "Shown compressed as JPEG of quality 95, ", (300, 400, 3)),
        (400_000, "Shown compressed as JPEG of quality 85, ", (300, 400, 3)),
        (200_000, "Shown reduced to 1/2, ", (150, 200, 3)),
        (160_000, "Shown reduced to 1/2 and compressed as JPEG of quality 95, ", (150, 200, 3)),
    ],
)
def test_beyond_it_all_pictures_of_a_group_are_treated_alike_and_the_page_says_how(share_bytes, said, shape):
    for groups in (1, 3):
        budget = PictureBudget(groups, share_bytes * groups)
        uris, remark = budget.embed(NOISE[:2], [None, None])
        assert size(uris) <= share_bytes and remark.startswith(said)
        assert {each.shape for each in embedded(" ".join(uris))} == {shape}
        assert len({uri.split(";")[0] for uri in uris}) == 1


def test_a_page_stays_within_its_budget():
    budget = PictureBudget(3, 1_000_000)
    spent = sum(size(budget.embed(pair, [None, None])[0]) for pair in (NOISE[:2], NOISE[2:4], NOISE[4:]))
    assert 600_000 < spent <= 1_000_000


def test_what_easy_pictures_leave_hard_ones_may_use():
    budget = PictureBudget(2, 800_000)
    flat = np.zeros((2, 300, 400, 3), np.uint8)
    budget.embed(flat, [None, None])
    assert budget.embed(NOISE[:2], [None, None])[1] == ""


def test_a_small_input_among_large_results_is_not_reduced():
    small = NOISE[0, :75, :100]
    uris, remark = PictureBudget(1, 60_000).embed([small, NOISE[1], NOISE[2]], [None] * 3)
    first, *others = embedded(" ".join(uris))
    assert "reduced" in remark and first.shape == small.shape
    assert {each.shape for each in others} < {(150, 200, 3), (100, 134, 3), (75, 100, 3)}


def test_without_any_budget_the_pictures_end_small_not_never():
    uris, _ = PictureBudget(1, 0).embed(NOISE[:1], [None])
    (tiny,) = embedded(uris[0])
    assert max(tiny.shape) <= 200
