"""Pictures are found, checked, matched by name and split; what is wrong with them is said with their name."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from restore_cli.errors import InputError
from restore_cli.training.corpus import read_corpus
from tests.training.tiny import DEGRADATION, draw, recipe_with

PAIRED = (('folders = ["photos"]', 'pairs = [{ degraded = "bad", clean = "good" }]'), (DEGRADATION, ""))
PAIRED_X2 = (
    *PAIRED,
    ('arch = "unet"\nwne = true\nwidths = [4, 8]\nblocks = 1\nbody_blocks = 1', 'arch = "resnet"\nscale = 2'),
)


def refusal(recipe, folder):
    with pytest.raises(InputError) as raised:
        read_corpus(recipe, folder)
    return str(raised.value)


@pytest.fixture
def pairs(tmp_path):
    """Four pairs at x2, one in a subfolder, one degraded name with the scale at its end."""
    for index, (degraded, clean) in enumerate(
        [("a.png", "a.png"), ("b.jpg", "b.png"), ("cx2.png", "c.png"), ("sub/a.png", "sub/a.png")]
    ):
        draw(tmp_path / "bad" / degraded, 24, 32, seed=index)
        draw(tmp_path / "good" / clean, 48, 64, seed=index)
    return tmp_path


def test_every_nth_picture_is_held_out_at_every_size(tmp_path, data):
    corpus = read_corpus(recipe_with(tmp_path, ("batch = 2", "batch = 2\nreductions = [1, 2]")), data)
    assert [scene.clean.shape for scene in corpus.training] == [(48, 64, 3), (24, 32, 3)] * 2
    held_out = [cv2.imread(str(data / f"photos/{index}.png"))[:, :, ::-1] for index in (1, 3)]
    assert all(np.array_equal(scene.clean, each) for scene, each in zip(corpus.validation[::2], held_out, strict=True))


def test_fewer_pictures_than_the_held_out_share_still_leave_one_to_validate_on(tmp_path, data):
    corpus = read_corpus(recipe_with(tmp_path, ("held_out = 2", "held_out = 50")), data)
    assert (len(corpus.training), len(corpus.validation)) == (3, 1)


def test_a_missing_folder_is_named_beside_those_that_are_there(recipe, tmp_path):
    draw(tmp_path / "data/pictures/0.png")
    message = refusal(recipe, tmp_path / "data")
    assert "photos: no such folder" in message
    assert "holds pictures" in message


def test_missing_data_an_empty_folder_and_a_single_picture_are_refused(recipe, tmp_path):
    assert "--data" in refusal(recipe, tmp_path / "nothing")
    (tmp_path / "photos").mkdir()
    assert "photos: no pictures" in refusal(recipe, tmp_path)
    draw(tmp_path / "photos/only.png")
    assert "only.png: a single picture" in refusal(recipe, tmp_path)


def test_an_unreadable_picture_among_others_is_named(recipe, data):
    (data / "photos/2.png").write_bytes((data / "photos/2.png").read_bytes()[:200])
    assert "photos/2.png" in refusal(recipe, data)


def test_pairs_match_by_name_whatever_their_suffix_or_order(tmp_path, pairs):
    corpus = read_corpus(recipe_with(tmp_path, *PAIRED_X2), pairs)
    scenes = [*corpus.training, *corpus.validation]
    assert len(scenes) == 4
    for scene in scenes:
        assert scene.clean.shape == (48, 64, 3)
        small = cv2.resize(scene.clean, (32, 24), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(float) - scene.degraded).mean() < 12  # the same blocks, not another's: 60


def test_a_degraded_picture_without_a_clean_one_is_named(tmp_path, pairs):
    draw(pairs / "bad/lonely.png", 24, 32)
    assert re.search(
        r"bad/lonely\.png: no picture named 'lonely' in .*good", refusal(recipe_with(tmp_path, *PAIRED_X2), pairs)
    )


def test_two_clean_pictures_of_one_name_are_refused(tmp_path, pairs):
    draw(pairs / "good/a.jpg")
    assert "has the same name" in refusal(recipe_with(tmp_path, *PAIRED_X2), pairs)


def test_a_pair_whose_sizes_do_not_match_is_named_with_the_size_it_should_have(tmp_path, pairs):
    draw(pairs / "good/a.png", 48, 63)
    message = refusal(recipe_with(tmp_path, *PAIRED_X2), pairs)
    assert re.search(r"good/a\.png: 63x48, but .*bad/a\.png is 32x24: at x2 it must be 64x48", message)
