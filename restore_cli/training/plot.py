"""The log of a run as a picture."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restore_cli.training.record import LogRow

__all__ = ["plot_log"]

COLORS = ("tab:blue", "tab:orange", "tab:green")


def plot_log(rows: Sequence[LogRow]) -> bytes:
    """A PNG file: loss, validation PSNR and, where it was recorded, the largest feature over the steps."""
    # The figure's own canvas, without pyplot: no window system is asked for, no state is kept.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves: dict[str, list[float | None]] = {
        "training loss": [row.loss for row in rows],
        "validation PSNR (dB)": [row.validation_psnr for row in rows],
        "largest feature": [row.largest_feature for row in rows],
    }
    recorded = {name: values for name, values in curves.items() if any(each is not None for each in values)}
    figure = Figure(figsize=(7, 3 * len(recorded)), layout="constrained")
    places = figure.subplots(len(recorded), sharex=True)
    for axes, (name, values), color in zip(places, recorded.items(), COLORS, strict=False):
        points = [math.nan if each is None else each for each in values]
        axes.plot([row.step for row in rows], points, marker="." if len(rows) < 50 else "", color=color)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    places[-1].set_xlabel(f"step (the last after {rows[-1].minutes:.1f} minutes)")
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()
