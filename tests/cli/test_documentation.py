"""Every command explains itself, shows an example that parses, and is in the README."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer.main

from restore_cli.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def leaves(command, words=()):
    inner = getattr(command, "commands", None)
    if inner is None:
        return {" ".join(words): command}
    return {name: leaf for word, each in inner.items() for name, leaf in leaves(each, (*words, word)).items()}


COMMANDS = leaves(typer.main.get_command(app))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_each_of_its_options_has_help(name):
    command = COMMANDS[name]
    assert (command.help or "").strip().endswith(".")
    undocumented = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert not undocumented


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_examples_that_parse(name):
    command = COMMANDS[name]
    assert command.epilog, f"{name} has no example"
    for example in command.epilog.split("|"):
        words = shlex.split(example)
        assert words[: 1 + len(name.split())] == ["restore", *name.split()]
        command.make_context(name, words[1 + len(name.split()) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_readme(name):
    assert f"restore {name}" in README
