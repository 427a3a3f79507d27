"""Which device and arithmetic to use, and one tile's trip there and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from restore_cli.errors import DeviceError, RestoreError
from restore_cli.options import Precision

__all__ = ["OnDevice", "check_devices", "choose_device", "choose_precision"]

DTYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


def choose_device(name: str) -> torch.device:
    """The device called `name`; 'auto' is the first of CUDA, MPS and CPU that is there.

    Raises:
        DeviceError: no such device on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name}: not a device.", "Use auto, cpu, cuda, cuda:0 or mps.") from error
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    available = [kind for kind, devices in count.items() if devices]
    if (device.index or 0) >= count.get(device.type, 0):
        raise DeviceError(f"--device {name}: not on this machine.", f"Here there is: {', '.join(available)}.")
    return device


def check_devices(names: Iterable[str]) -> None:
    """Raises DeviceError for the first of these that this machine has not."""
    for name in names:
        choose_device(name)


def choose_precision(wanted: Precision, device: torch.device, safe: tuple[str, ...]) -> Precision:
    """The arithmetic to use: `wanted`, or for 'auto' float32 except where a GPU and the network allow half.

    Args:
        wanted: what the user said.
        device: where the network runs.
        safe: precisions beside fp32 that the network is known to survive.
    """
    if wanted is not Precision.AUTO:
        return wanted
    if device.type == "cuda":
        for name in ("fp16", "bf16"):
            if name in safe:
                return Precision(name)
    # A CPU's bfloat16 costs about 0.05 dB and gains speed on few of them: only when asked for.
    return Precision.FP32


class OnDevice(nn.Module):
    """`network` on `device`, for pictures anywhere; the result comes back to where the picture is.

    A result with infinities or NaN is computed again in float32, and never handed on.

    Args:
        network: with float32 weights; moved to the device on use, so that two of these may share one.
        device: where it runs.
        precision: arithmetic under autocast; not 'auto'.
        on_fallback: told when a tile had to be computed again.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        precision: Precision,
        on_fallback: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.device = device
        self.precision = precision
        self._on_fallback = on_fallback or (lambda: None)

    def forward(self, picture: torch.Tensor, **conditioning: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C', sH, sW), device and dtype of `picture`.

        Raises:
            RestoreError: the result is not finite in float32 either.
        """
        restored = self._run(picture, conditioning, self.precision)
        if not torch.isfinite(restored).all() and self.precision is not Precision.FP32:
            self._on_fallback()
            restored = self._run(picture, conditioning, Precision.FP32)
        if not torch.isfinite(restored).all():
            raise RestoreError(
                "The network's result holds values that are not numbers, even in fp32.",
                "The weights may be damaged or made for another value range; try another model.",
            )
        return restored

    def _run(self, picture: torch.Tensor, conditioning: dict[str, torch.Tensor], precision: Precision) -> torch.Tensor:
        if not all(self._holds(weight) for weight in self.network.parameters()):
            self.network.to(self.device)
        # A copy in any case: some networks (spandrel's RCAN) work in place, and a second try needs the picture.
        moved = torch.empty(picture.shape, dtype=torch.float32, device=self.device).copy_(picture)
        given = {name: value.to(self.device, torch.float32) for name, value in conditioning.items()}
        half = precision is not Precision.FP32
        with torch.autocast(self.device.type, DTYPES[precision], enabled=half):
            restored: torch.Tensor = self.network(moved, **given)
        return restored.to(picture.device, picture.dtype)

    def _holds(self, weight: torch.Tensor) -> bool:
        return weight.device.type == self.device.type and self.device.index in (None, weight.device.index)
