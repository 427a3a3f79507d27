"""The log of a run as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restore_cli.training.record import LogRow

__all__ = ["plot_log"]


def plot_log(rows: Sequence[LogRow]) -> bytes:
    """A PNG file: loss and validation PSNR over the steps, one above the other."""
    # The figure's own canvas, without pyplot: no window system is asked for, no state is kept.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    steps = [row.step for row in rows]
    marker = "." if len(rows) < 50 else ""
    above.plot(steps, [row.loss for row in rows], marker=marker, color="tab:blue")
    above.set_ylabel("training loss")
    below.plot(steps, [row.validation_psnr for row in rows], marker=marker, color="tab:orange")
    below.set_ylabel("validation PSNR (dB)")
    below.set_xlabel(f"step (the last after {rows[-1].minutes:.1f} minutes)")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()
