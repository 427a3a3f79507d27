"""restore: picture restoration from the command line and from Python.

    import restore_cli
    model = restore_cli.load_model("unet-denoise-color")
    clean = model(noisy)                                  # (N, 3, H, W) in [0, 1]
    restore_cli.restore("in.png", "out.png", task="sr")   # file to file

Names are resolved on use, so that importing the package, and `restore --help`, need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from restore_cli.inference.engine import restore
    from restore_cli.inference.restorer import Restorer, load_model

__version__ = "0.1.0"
__all__ = ["Restorer", "__version__", "errors", "load_model", "restore"]

_HOMES = {
    "Restorer": "restore_cli.inference.restorer",
    "load_model": "restore_cli.inference.restorer",
    "restore": "restore_cli.inference.engine",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a function
    if name == "errors":
        return import_module("restore_cli.errors")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'restore_cli' has no attribute '{name}'")
