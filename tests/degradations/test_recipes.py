from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from restore_cli.degradations.jpeg import Jpeg
from restore_cli.degradations.mosaic import Mosaic
from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.recipes import (
    DEGRADATIONS,
    Chain,
    Choice,
    generator_for,
    makes_mosaic,
    read_degradation,
    scale_of,
)
from restore_cli.degradations.resize import Bicubic
from restore_cli.errors import RecipeError
from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from tests.degradations.pictures import clean_picture, psnr

TABLES = {
    **{kind: {"kind": kind} for kind in DEGRADATIONS if kind not in ("bicubic", "chain", "choice")},
    "bicubic": {"kind": "bicubic", "scale": 2},
    "chain": {"kind": "chain", "steps": [{"kind": "motion-blur"}, {"kind": "bicubic", "scale": 2}, {"kind": "jpeg"}]},
    "choice": {"kind": "choice", "of": [{"kind": "snow"}, {"kind": "rain"}], "weights": [1, 2]},
}
UNCLIPPED = ("gaussian-noise", "poisson-gaussian", "correlated-noise")


@pytest.fixture(params=DEGRADATIONS)
def kind(request):
    return request.param


def test_the_same_seed_makes_the_same_picture_another_one_another_and_the_clean_one_is_left_alone(kind):
    degradation = read_degradation(TABLES[kind], "here")
    clean = clean_picture(80, 96)
    before = clean.copy()
    first, second, other = (degradation(clean, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert np.array_equal(first, second)
    assert np.array_equal(clean, before)
    if kind not in ("bicubic", "mosaic"):
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (31, 200)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_grey_give_finite_values_of_the_expected_shape_and_range(kind, channels, size):
    degradation = read_degradation(TABLES[kind], "here")
    scale = scale_of(degradation)
    size = tuple(side * scale for side in size)
    for seed in range(3):
        degraded = degradation(clean_picture(*size, channels), np.random.default_rng(seed))
        colours = 3 if kind == "mosaic" else channels
        assert degraded.shape == (size[0] // scale, size[1] // scale, colours)
        assert degraded.dtype == np.float32
        assert np.isfinite(degraded).all()
        if kind not in UNCLIPPED:
            assert degraded.min() >= -1e-6 and degraded.max() <= 1 + 1e-6


def test_margins_are_whole_pixels(kind):
    margin = read_degradation(TABLES[kind], "here").margin_px
    assert type(margin) is int
    assert margin >= 0


def test_a_patch_with_its_margin_cut_off_is_as_in_the_whole_picture():
    chain = read_degradation(TABLES["chain"], "here")
    clean = clean_picture(256, 256, 1)
    margin = chain.margin_px
    whole = chain(clean, np.random.default_rng(3))[16 + margin : 112 - margin, 32 + margin : 128 - margin]
    patch = chain(clean[32:224, 64:256], np.random.default_rng(3))[margin:-margin, margin:-margin]
    # Rounding to 8 bits on the way may turn a rare coefficient over.
    assert np.mean(np.abs(patch - whole) > 1 / 255) < 0.02


def test_a_chains_margin_keeps_grids_and_counts_degraded_pixels():
    blur = read_degradation({"kind": "motion-blur", "length_px": 40}, "here")
    assert blur.margin_px == 21
    assert Chain((blur,)).margin_px == 32
    assert Chain((blur, Bicubic(4))).margin_px == 16  # ceil(21 / 4) + 4
    assert Chain((Jpeg(), GaussianNoise())).margin_px == 0
    assert scale_of(Chain((Bicubic(2), GaussianNoise(), Bicubic(2)))) == 4


@dataclass(frozen=True)
class Add:
    value: float
    margin_px = 3

    def __call__(self, clean, rng):
        return clean + np.float32(self.value + rng.random())


def test_a_chain_takes_its_steps_in_order_with_one_generator():
    rng = np.random.default_rng(0)
    expected = 1 + rng.random() + 2 + rng.random()
    result = Chain((Add(1), Add(2)))(np.zeros((2, 2, 1), np.float32), np.random.default_rng(0))
    assert result[0, 0, 0] == pytest.approx(expected)
    clean = clean_picture()
    assert np.array_equal(Chain(())(clean, rng), clean)


def test_a_choice_takes_each_as_often_as_its_weight_says():
    rng, clean = np.random.default_rng(0), np.zeros((1, 1, 1), np.float32)
    values = [int(Choice((Add(0), Add(2), Add(4)), (1, 0, 3))(clean, rng)[0, 0, 0]) // 2 for _ in range(2000)]
    assert values.count(1) == 0
    assert values.count(2) / 2000 == pytest.approx(0.75, abs=0.04)
    even = [int(Choice((Add(0), Add(2)))(clean, rng)[0, 0, 0]) // 2 for _ in range(2000)]
    assert np.mean(even) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("of", "weights"),
    [
        ((), ()),
        ((Bicubic(2), GaussianNoise()), ()),
        ((Jpeg(),), (1, 2)),
        ((Jpeg(),), (0,)),
        ((Jpeg(), Jpeg()), (2, -1)),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(of, weights):
    with pytest.raises(RecipeError, match="Choice: "):
        Choice(of, weights)


def test_tables_nest():
    nested = {
        "kind": "choice",
        "of": [{"kind": "chain", "steps": [{"kind": "jpeg", "quality": [5, 9]}]}, {"kind": "gaussian-noise"}],
        "weights": [2, 1],
    }
    assert read_degradation(nested, "here") == Choice((Chain((Jpeg((5, 9)),)), GaussianNoise()), (2.0, 1.0))


def test_one_number_stands_for_a_range():
    assert read_degradation({"kind": "jpeg", "quality": 10}, "here") == Jpeg((10, 10))
    assert read_degradation({"kind": "gaussian-noise", "sigma_255": 15}, "here") == GaussianNoise((15.0, 15.0))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "hail"}, "here: unknown kind 'hail'.*rain"),
        ({}, "here: unknown kind None"),
        ({"kind": ["rain"]}, "here: unknown kind"),
        ({"kind": "rain", "densty": 1}, "here: unknown key 'densty'.*density"),
        ({"kind": "jpeg", "quality": "high"}, "here.quality: expected"),
        ({"kind": "jpeg", "quality": [1.5, 2]}, "here.quality: expected int"),
        ({"kind": "bicubic"}, "here: missing scale"),
        ({"kind": "chain", "steps": [{"kind": "jpeg"}, {"kind": "snow", "x": 1}]}, r"here.steps\[1\]: unknown key 'x'"),
        ({"kind": "chain", "steps": [3]}, "here.steps: expected"),
        ({"kind": "chain", "steps": [{"quality": 3}]}, r"here.steps\[0\]: unknown kind None"),
        ({"kind": "rain", "density": {"kind": "jpeg"}}, "here.density: expected"),
    ],
)
def test_what_a_table_must_not_say_is_refused_with_its_place(table, said):
    with pytest.raises(RecipeError, match=said):
        read_degradation(table, "here")


def test_a_pictures_generator_depends_on_seed_and_name_alone():
    draws = {key: generator_for(*key).random() for key in ((0, "a"), (1, "a"), (0, "b"), (0, "\udcff"))}
    assert len(set(draws.values())) == 4
    assert generator_for(0, "a").random() == draws[0, "a"]


def test_mosaics_are_known_wherever_they_end_a_chain():
    assert makes_mosaic(Mosaic())
    assert makes_mosaic(Chain((GaussianNoise(), Choice((Mosaic(), Mosaic(("bggr",)))))))
    assert not makes_mosaic(Chain((Mosaic(), GaussianNoise())))
    assert not makes_mosaic(Chain(()))
    assert not makes_mosaic(Choice((Mosaic(), Jpeg())))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("rain", 18, 24),
        ("snow", 18, 24),
        ("motion-blur", 20, 26),
        ("defocus", 20, 26),
        ("raindrops", 17, 24),
        ("rain-fog", 17, 24),
    ],
)
def test_the_defaults_are_hard_enough_to_matter(shared, kind, low, high):
    degradation = read_degradation({"kind": kind}, "here")
    paths = find_pictures(shared / "data/test/CBSD68")[::3]
    levels = []
    for path in paths:
        clean = read_image(path).pixels
        levels.append(psnr(degradation(clean, generator_for(0, path.stem)), clean))
    assert low < np.mean(levels) < high
