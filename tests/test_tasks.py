"""The spine and what hangs on it agree: commands, options, cards, protocols, degradations."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from restore_cli.cli.restore import COMMANDS, EPILOGS
from restore_cli.degradations.mosaic import BAYER_PATTERNS
from restore_cli.degradations.recipes import DEGRADATIONS
from restore_cli.errors import ModelNotFoundError, UsageError
from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.models.catalog import read_catalog
from restore_cli.options import Cfa
from restore_cli.tasks import QUALITY_FACTOR, SIGMA, TASKS

CARDS = read_catalog()


def test_every_task_is_a_command_of_its_name_with_the_same_one_sentence_of_help():
    assert list(TASKS) == list(COMMANDS) == list(EPILOGS)
    for name, task in TASKS.items():
        assert task.name == name
        assert COMMANDS[name].__doc__ == task.help


@pytest.mark.parametrize("name", TASKS)
def test_a_command_has_the_options_its_row_speaks_of(name):
    task, options = TASKS[name], inspect.signature(COMMANDS[name]).parameters
    asked = {task.conditioning.option} if task.conditioning else set()
    conditioning = {each.option for each in (SIGMA, QUALITY_FACTOR)}
    assert {f"--{option.replace('_', '-')}" for option in options} & conditioning == asked
    assert ("scale" in options) == task.enlarges
    assert ("cfa" in options) == (task.input == "mosaic")


@pytest.mark.parametrize("name", TASKS)
def test_a_rows_degradations_exist(name):
    assert TASKS[name].degradations
    assert set(TASKS[name].degradations) <= set(DEGRADATIONS)


@pytest.mark.parametrize("name", TASKS)
def test_the_models_a_row_names_are_in_the_catalogue_and_do_its_task(name):
    task = TASKS[name]
    for variant, model in task.default_models.items():
        assert model in CARDS, f"{name} {variant}"
        assert CARDS[model].embedded
        assert name in CARDS[model].tasks
        assert f"x{CARDS[model].scale}" == (variant if task.enlarges else "x1")
        assert CARDS[model].channels == (1 if variant == "grey" else 3)
    for scale in task.scales:
        for pattern in task.try_models:
            card = CARDS[pattern.format(scale=scale)]
            assert (card.task, card.scale) == (name, scale)


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_a_card_fits_the_row_of_its_task_and_names_a_protocol_with_its_scores(card):
    task = TASKS[card.task]
    assert (card.scale > 1) == task.enlarges
    assert card.conditioning in ("blind", task.conditioning and task.conditioning.name)
    assert card.channels in (1, 3, 6)
    assert {score.protocol for score in card.scores} <= set(PROTOCOLS)


def test_every_task_has_a_protocol_of_its_name():
    assert list(PROTOCOLS) == list(TASKS)
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())


def test_the_patterns_one_can_ask_for_are_those_that_can_be_made():
    assert [each.value for each in Cfa] == list(BAYER_PATTERNS)


def test_the_default_model_follows_the_scale():
    assert TASKS["sr"].default_model() == TASKS["sr"].default_model(4) == TASKS["sr"].default_models["x4"]
    assert TASKS["denoise"].default_model() == TASKS["denoise"].default_models["color"]


def test_a_scale_that_is_not_offered_is_refused_0_included():
    for scale in (0, -4, 5):
        with pytest.raises(UsageError, match=f"--scale {scale}: sr offers x2, x3, x4"):
            TASKS["sr"].default_model(scale)


def test_without_weights_the_way_out_is_named():
    enlarging = dataclasses.replace(TASKS["sr"], default_models={})
    with pytest.raises(ModelNotFoundError, match=r"'sr x3'.*-n swinir-m-sr-x3.*-n FILE.pth or -n hf:owner/repo/file"):
        enlarging.default_model(3)
    with pytest.raises(ModelNotFoundError, match=r"'derain'.*-n FILE.pth"):
        dataclasses.replace(TASKS["derain"], default_models={}).default_model()


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_task_restores_without_a_network_at_every_scale(task):
    for scale in task.scales:
        assert CARDS[task.default_model(scale)].embedded


def test_grey_pictures_have_a_model_of_their_own_where_colour_would_fail_them():
    model = TASKS["denoise"].grey_model
    assert model is not None and model != TASKS["denoise"].default_model()
    assert CARDS[model].channels == 1
    assert TASKS["sr"].grey_model is None


@pytest.mark.parametrize(
    ("task", "wanted", "found", "said"),
    [
        ("denoise", None, 2, "net enlarges x2, but 'denoise' keeps the size"),
        ("sr", None, 1, "net keeps the size, but 'sr' enlarges"),
        ("sr", 2, 4, "net enlarges x4, not x2"),
        ("sr", 0, 4, "net enlarges x4, not x0"),
    ],
)
def test_a_model_of_the_wrong_scale_is_refused(task, wanted, found, said):
    with pytest.raises(UsageError, match=said):
        TASKS[task].check_scale(wanted, found, "net")


def test_a_model_of_the_right_scale_is_accepted():
    TASKS["sr"].check_scale(None, 8, "net")
    TASKS["sr"].check_scale(3, 3, "net")
    TASKS["denoise"].check_scale(None, 1, "net")
