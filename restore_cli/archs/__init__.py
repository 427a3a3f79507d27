"""Networks: torch and `blocks.py` only. No paths, no options, no downloads.

`ARCHITECTURES` maps the id a card uses to the class, imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHITECTURES", "architecture"]

ARCHITECTURES = {
    "resnet": "restore_cli.archs.resnet:ResNet",
    "unet": "restore_cli.archs.unet:UNet",
}


def architecture(arch_id: str) -> type[nn.Module]:
    """The network class registered under `arch_id`; raises KeyError for an unknown id."""
    module, _, name = ARCHITECTURES[arch_id].partition(":")
    found: type[nn.Module] = getattr(import_module(module), name)
    return found
