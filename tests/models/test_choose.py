"""Which model a task uses unnamed: told by rules, and why."""

from __future__ import annotations

import importlib.util

import pytest

from restore_cli.errors import RecipeError, UsageError
from restore_cli.models import choose as rules
from restore_cli.models.catalog import read_catalog
from restore_cli.models.choose import Policy, choose, settled_policy
from restore_cli.models.home import home_dir
from restore_cli.options import Hints
from restore_cli.tasks import TASKS


@pytest.fixture
def here(monkeypatch):
    """Ids of the hub's models that are on this machine; add to it."""
    names = set()
    monkeypatch.setattr(rules, "is_cached", lambda download: download.card.id in names)
    return names


@pytest.mark.parametrize("task", TASKS)
def test_with_nothing_installed_the_embedded_model_is_used_and_a_better_one_named(here, task):
    choice = choose(TASKS[task])
    assert choice.card.id == TASKS[task].default_model()
    assert choice.plain and "\n" not in choice.reason
    if "pull" in choice.reason:
        named = choice.reason.split("`restore models pull ")[1].split("`")[0]
        assert task in read_catalog()[named].tasks


@pytest.mark.parametrize(
    ("task", "arguments", "model"),
    [
        ("sr", {"scale": 2}, "swinir-m-sr-x2"),
        ("sr", {"scale": 4, "device": "cuda:0"}, "dat-sr-x4"),
        ("denoise", {"hints": Hints(sigma_255=30)}, "drunet-color"),
        ("denoise", {"hints": Hints(sigma_255=26), "device": "cuda"}, "swinir-denoise-color-25"),
        ("denoise", {"hints": Hints(sigma_255=28), "device": "cuda"}, "drunet-color"),
        ("denoise", {"hints": Hints(sigma_255=30), "grey": True}, "drunet-grey"),
        ("denoise", {}, "nafnet-sidd-width32"),
        ("denoise", {"grey": True}, "drunet-grey"),
        ("denoise", {"device": "mps"}, "nafnet-sidd-width64"),
        ("deblur", {}, "nafnet-gopro-width32"),
        ("derain", {"commercial_ok": True}, "kbnet-derain"),
        ("jpeg", {}, "fbcnn-color"),
        ("jpeg", {"hints": Hints(quality_factor=29), "device": "cuda"}, "swinir-jpeg-color-30"),
        ("demosaic", {}, "drunet-color"),
        ("weather", {}, "histoformer-weather"),
    ],
)
def test_the_model_suits_task_input_and_device(here, task, arguments, model):
    best = choose(TASKS[task], policy=Policy.BEST, asked_by="--best", **arguments)
    assert best.card.id == model
    assert "as --best asks" in best.reason and "to be downloaded once" in best.reason
    here.add(model)
    installed = choose(TASKS[task], **arguments)
    assert (installed.card.id, installed.plain) == (model, False)
    assert "which is installed; --embedded takes" in installed.reason
    assert "to be downloaded" not in choose(TASKS[task], policy=Policy.BEST, **arguments).reason


def test_a_denoiser_that_must_be_told_the_level_is_taken_too_for_that_can_be_estimated(here):
    here.add("drunet-color")
    assert choose(TASKS["denoise"]).card.id == "drunet-color"
    here.add("nafnet-sidd-width64")  # unknown noise is a camera's as a rule
    assert choose(TASKS["denoise"]).card.id == "nafnet-sidd-width64"
    assert choose(TASKS["denoise"], hints=Hints(sigma_255=10)).card.id == "drunet-color"


@pytest.mark.parametrize("task", TASKS)
def test_the_embedded_model_can_be_forced(here, task):
    here.update(read_catalog())
    choice = choose(TASKS[task], policy=Policy.EMBEDDED, asked_by="--embedded")
    assert choice.card.id == TASKS[task].default_model()
    assert choice.reason == f"Using {choice.card.id}, which comes with the package, as --embedded asks."


def test_grey_pictures_have_their_own_embedded_denoiser(here):
    assert choose(TASKS["denoise"], grey=True).card.id == "unet-denoise-grey"
    assert choose(TASKS["jpeg"], grey=True).card.id == TASKS["jpeg"].default_model()


def test_best_offline_is_the_best_that_is_here(here):
    asked = {"policy": Policy.BEST, "asked_by": "--best", "offline": True}
    choice = choose(TASKS["sr"], device="cuda", **asked)
    assert choice.card.embedded and "dat-sr-x4 is not installed and downloads are off" in choice.reason
    here.add("swinir-m-sr-x4")
    choice = choose(TASKS["sr"], device="cuda", **asked)
    assert choice.card.id == "swinir-m-sr-x4" and "that is installed" in choice.reason


def test_a_network_that_cannot_be_loaded_is_not_chosen(here, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "extra" in name else real(name))
    assert choose(TASKS["derain"], policy=Policy.BEST).card.id == "kbnet-derain"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert choose(TASKS["derain"], policy=Policy.BEST).card.id == "restormer-derain"


def test_a_scale_that_is_not_offered_is_refused(here):
    with pytest.raises(UsageError, match="--scale 5"):
        choose(TASKS["sr"], scale=5)


def test_every_rule_names_a_card_of_its_task_that_is_made_for_pictures_not_for_the_eye():
    catalog = read_catalog()
    for task in TASKS.values():
        for scale in task.scales:
            for grey in (False, True):
                for on_cpu in (False, True):
                    for hints in (Hints(), *(Hints(sigma_255=s, quality_factor=s) for s in (1, 10, 15, 20, 30, 50))):
                        need = rules._Need(task, scale, grey, hints, on_cpu)
                        for card in (catalog[name] for name in rules._ranked(need)):
                            assert task.name in card.tasks and card.scale == scale
                            assert "invents" not in card.summary


# --- what settles it ---


def test_the_environment_goes_before_the_settings(catalogue, monkeypatch):
    assert settled_policy() == (Policy.INSTALLED, "")
    home_dir().mkdir(parents=True)
    (home_dir() / "config.toml").write_text('models = "best"\n')
    assert settled_policy() == (Policy.BEST, str(home_dir() / "config.toml"))
    monkeypatch.setenv("RESTORE_MODELS", "embedded")
    assert settled_policy() == (Policy.EMBEDDED, "RESTORE_MODELS")


@pytest.mark.parametrize("text", ['models = "newest"\n', 'modles = "best"\n', "models = 3\n", "models = \n"])
def test_settings_that_are_none_are_an_error_that_names_them(catalogue, text):
    home_dir().mkdir(parents=True)
    (home_dir() / "config.toml").write_text(text)
    with pytest.raises(RecipeError) as error:
        settled_policy()
    assert "config.toml" in error.value.message


def test_a_word_that_is_no_policy_is_named_with_the_variable(catalogue, monkeypatch):
    monkeypatch.setenv("RESTORE_MODELS", "newest")
    with pytest.raises(RecipeError, match="RESTORE_MODELS: unknown policy 'newest'.*installed, embedded, best"):
        settled_policy()
