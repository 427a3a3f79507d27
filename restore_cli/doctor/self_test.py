"""A small picture through a small network, on each device in each precision, against exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from restore_cli.doctor.finding import Finding, State
from restore_cli.errors import RestoreError
from restore_cli.inference.restorer import Restorer
from restore_cli.models.build import Model, build_model
from restore_cli.options import Precision, RunOptions

__all__ = ["TOLERANCE_255", "examine_precisions"]

MODEL = "resnet-sr-x2"  # the smallest of those embedded
SIDE_PX = 24
# Largest errors of a sound device, in 8-bit levels. Of fp32 because GPUs multiply in TF32, of 11 significant bits as
# fp16; bf16 has 8. A processor was measured at 0.00004, 0.9 (bf16) and 0.12 (fp16).
TOLERANCE_255 = {Precision.FP32: 1.0, Precision.BF16: 8.0, Precision.FP16: 1.0}


def examine_precisions(devices: list[torch.device]) -> Iterator[Finding]:
    """The largest error of each precision on each device, in 8-bit levels, against float64."""
    try:
        model = build_model(MODEL)
    except RestoreError as error:
        yield Finding("self-test", error.message, State.BROKEN, error.hint)
        return
    picture = test_picture(SIDE_PX)
    with torch.no_grad():
        exact = model.network.module.double()(picture.double())
    model.network.module.float()
    for device in devices:
        for precision in TOLERANCE_255:
            yield _examine(model, picture, exact, device, precision)


def test_picture(side_px: int) -> torch.Tensor:
    """(1, 3, side, side) in [0, 1]: slopes, an edge and fine lines, so that every filter has something to do."""
    steps = torch.linspace(0, 1, side_px)
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    lines = 0.5 + 0.5 * torch.sin(2 * torch.pi * 11 * (down + 0.7 * across))
    edge = (down > across).float()
    return torch.stack([across, 0.5 * down + 0.5 * edge, 0.7 * lines + 0.3 * edge])[None]


def _examine(
    model: Model, picture: torch.Tensor, exact: torch.Tensor, device: torch.device, precision: Precision
) -> Finding:
    subject = f"self-test {device} {precision.value}"
    listener = _Listener()
    broken = State.BROKEN if precision is Precision.FP32 else State.NOTE
    advice = f"Use --device cpu, and check the driver of {device}." if device.type != "cpu" else "Install torch again."
    if precision is not Precision.FP32:
        advice = f"Do not use --precision {precision.value} on {device}."
    try:
        restorer = Restorer(model, RunOptions(str(device), precision, tile_px=0, wne=False), listener)
        restored = restorer(picture)
    except (RestoreError, RuntimeError) as error:  # of torch: no kernel for it, a broken driver, no memory
        reason = " ".join(str(error).split())
        return Finding(subject, f"fails: {reason}", broken, advice, {"works": False})
    error_255 = float((restored.double() - exact).abs().max()) * 255
    facts = {"works": True, "error_255": error_255, "noted": listener.notes}
    if listener.notes:  # it overflowed, or went to another device
        return Finding(subject, " ".join(listener.notes), broken, advice, facts)
    message = f"largest error {error_255:.2g} of 255"
    if not error_255 <= TOLERANCE_255[precision]:
        return Finding(subject, f"{message}, more than {TOLERANCE_255[precision]:g}", broken, advice, facts)
    return Finding(subject, message, facts=facts)


class _Listener:
    """Hears of a result that had to be computed again."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def tiles(self, done: int, total: int) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        """Kept."""
        self.notes.append(message)
