"""Imports point one way. Read from the syntax trees, so that those inside functions count too."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "restore_cli"
LAYERS = (
    {"errors", "options", "tasks", "tables"},
    {"io", "archs", "degradations", "metrics"},
    {"wrappers", "diagnosis"},
    {"models"},
    {"inference"},
    {"evaluation", "batch", "training", "doctor"},
    {"cli"},
)
LEVEL = {part: level for level, layer in enumerate(LAYERS) for part in layer}
HEAVY = {
    *("torch", "torchvision", "spandrel", "cv2", "huggingface_hub", "safetensors", "numpy", "PIL", "matplotlib"),
    *("ray", "fsspec"),
}

MODULES = {
    ".".join(("restore_cli", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}


def imported(path, *, at_import_time=False):
    """Full names of the modules that a file imports; only those that importing it runs, if asked."""
    names = set()
    waiting = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if at_import_time and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if at_import_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add(node.module)
            # `from restore_cli.cli import models` may name a module.
            names |= {full for alias in node.names if (full := f"{node.module}.{alias.name}") in MODULES}
        waiting += ast.iter_child_nodes(node)
    return names


def part_of(module):
    """'io' of restore_cli.io.read; None outside the package and for the package itself."""
    parts = module.split(".")
    return parts[1] if parts[0] == "restore_cli" and len(parts) > 1 else None


def test_every_part_of_the_package_has_a_layer():
    assert {part_of(module) for module in MODULES} - {None, "__main__"} == set(LEVEL)


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name) in LEVEL])
def test_a_module_imports_nothing_from_a_later_layer(module):
    own = LEVEL[part_of(module)]
    later = [name for name in imported(MODULES[module]) if part_of(name) and LEVEL[part_of(name)] > own]
    assert not later


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name) == "archs"])
def test_networks_import_torch_and_each_others_blocks_only(module):
    for name in imported(MODULES[module]):
        top = name.split(".")[0]
        assert top == "torch" or part_of(name) == "archs" or top in sys.stdlib_module_names, name


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name) == "cli"])
def test_importing_a_command_imports_nothing_heavy_however_indirectly(module):
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in MODULES:
            assert name.split(".")[0] not in HEAVY, name
            continue
        seen.add(name)
        parents = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
        waiting += [*imported(MODULES[name], at_import_time=True), *parents]
    assert "restore_cli.errors" in seen  # the walk does walk


def test_errors_imports_nothing_at_all():
    assert imported(ROOT / "errors.py") == {"__future__"}
