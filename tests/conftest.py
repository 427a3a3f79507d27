"""What every test runs under: no network but the loopback, caches of its own, two threads."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Before anything imports torch or the hub's client, which read them once. Subprocesses inherit them.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
OF_THE_HUB = ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE")
for settled in (*OF_THE_HUB, "RESTORE_CARDS", "RESTORE_HOME", "RESTORE_CACHE", "RESTORE_MODELS"):
    os.environ.pop(settled, None)
# A process that a test starts elsewhere runs this tree too, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))

LOOPBACK = ("localhost", "127.", "::1")
DATA = Path(os.environ.get("RESTORE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(variable, str(tmp_path_factory.mktemp(variable)))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """A test that reaches out fails, loudly: what it asked for would not be there tomorrow."""

    def guarded(real: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX and not str(address[0]).startswith(LOOPBACK):
                raise RuntimeError(f"a test tried to connect to {address}")
            return real(self, address)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the pictures and checkpoints, for tests marked `shared`."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there; RESTORE_DATA names another place")
    return DATA.parent


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of small random networks: 'x1', 'x2', 'x4' (ResNets), 'grey' (of one channel), 'unet', 'wne'."""
    import torch
    from safetensors.torch import save_file

    from restore_cli.archs.resnet import ResNet
    from restore_cli.archs.unet import UNet

    torch.manual_seed(0)
    small: dict[str, Any] = {"width": 8, "depth": 1}
    networks = {
        "x1": ResNet(**small),
        "x2": ResNet(**small, scale=2),
        "x4": ResNet(**small, scale=4),
        "grey": ResNet(**small, channels=1),
        "unet": UNet(widths=(4, 8), blocks=1, body_blocks=1),
    }
    networks["wne"] = networks["x1"]
    folder = tmp_path_factory.mktemp("weights")
    paths = {name: folder / f"{name}.safetensors" for name in networks}
    for name, network in networks.items():
        save_file(network.state_dict(), paths[name], {"config": '{"wne": true}'} if name == "wne" else None)
    return paths
