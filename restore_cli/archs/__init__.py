"""Networks: torch and `blocks.py` only. No paths, no options, no downloads.

`ARCHITECTURES` maps the id a card uses to the class, imported when it is first asked for. Beside being
a module, each class has `signature_keys` and `config_of(state_dict)`, by which a bare checkpoint is
recognised and rebuilt, and its instances know their `channels`, `scale`, `size_multiple`,
`minimum_size` and `receptive_radius`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["ARCHITECTURES", "architecture"]

ARCHITECTURES = {
    "resnet": "restore_cli.archs.resnet:ResNet",
    "unet": "restore_cli.archs.unet:UNet",
}


def architecture(arch_id: str) -> type[Any]:
    """The network class registered under `arch_id`; raises KeyError for an unknown id."""
    module, _, name = ARCHITECTURES[arch_id].partition(":")
    found: type[Any] = getattr(import_module(module), name)
    return found
