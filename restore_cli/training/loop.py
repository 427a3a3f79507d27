"""The training loop, to be read from top to bottom.

Whatever ends a run - the budget, Ctrl-C, a crash, the machine - at most the minutes since the last
checkpoint are lost: everything needed to go on is in one file, written aside and renamed.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from restore_cli.archs import architecture
from restore_cli.errors import CheckpointError, OutputError, RecipeError
from restore_cli.io.atomic import replacing
from restore_cli.training.config import OptimizerRecipe, Recipe
from restore_cli.training.data import Batch, PatchSampler, read_corpus
from restore_cli.training.ema import AveragedWeights
from restore_cli.training.losses import LOSS_FUNCTIONS
from restore_cli.wrappers.wne import NormalizationEquivariant

__all__ = ["CHECKPOINT_NAME", "Budget", "build_network", "train"]

CHECKPOINT_NAME = "checkpoint.pt"
LOG_FIELDS = ("step", "minutes", "rate", "loss", "validation_psnr")
VALIDATION_PATCHES = 16
VALIDATION_KEY = (2**31, 1)  # no training step ever uses this seed


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many minutes or steps of training, whichever comes first."""

    minutes: float
    steps: int | None = None

    def share_used(self, seconds: float, step: int) -> float:
        """0 at the start, 1 at the end."""
        by_time = seconds / (60 * self.minutes)
        return min(1.0, max(by_time, step / self.steps if self.steps else 0.0))


def build_network(recipe: Recipe) -> nn.Module:
    """The recipe's network with random weights, wrapped in WNE if it says so."""
    try:
        network = architecture(recipe.network.arch)(**recipe.network.config)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"Recipe '{recipe.name}': network: {error}.") from error
    for fact, wanted in (("scale", recipe.scale), ("channels", recipe.data.channels)):
        if getattr(network, fact) != wanted:
            raise RecipeError(f"Recipe '{recipe.name}': {fact} is {wanted}, the network's {getattr(network, fact)}.")
    return NormalizationEquivariant(network) if recipe.network.wne else network


def train(
    recipe: Recipe,
    data_dir: Path,
    run_dir: Path,
    *,
    budget: Budget | None = None,
    device: str = "cpu",
    resume: bool = False,
    validate_every: int = 500,
    checkpoint_seconds: float = 180,
    show_progress: bool = True,
    on_step: Callable[[int], None] = lambda step: None,
) -> Path:
    """Train until the budget is used up.

    Args:
        recipe: what to train, on what, and how.
        data_dir: holds the recipe's picture folders.
        run_dir: receives `checkpoint.pt` and `log.csv`.
        budget: overrides the recipe's minutes.
        device: 'cpu', 'cuda' or 'cuda:n'. Both run in bfloat16 with float32 weights.
        resume: go on from the checkpoint in `run_dir`.
        validate_every: steps between two validations on held-out pictures.
        checkpoint_seconds: time between two checkpoints.
        show_progress: a bar with the time left, on standard error.
        on_step: told the number of each finished step; may raise to stop the run.

    Returns:
        The path of the last checkpoint.

    Raises:
        CheckpointError: `resume` without a checkpoint, or without `resume` over an existing one.
        InputError: no pictures, or none large enough.
    """
    checkpoint_path = run_dir / CHECKPOINT_NAME
    if resume and not checkpoint_path.exists():
        raise CheckpointError(f"{checkpoint_path}: nothing to resume.", "Leave out --resume to start.")
    if not resume and checkpoint_path.exists():
        raise CheckpointError(f"{checkpoint_path} exists.", "Go on with --resume, or name another folder with --out.")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run_dir}: {error.strerror}.", "Choose another --out.") from error
    budget = budget or Budget(recipe.optimizer.minutes)

    torch.manual_seed(recipe.seed)
    network = build_network(recipe).to(device).to(memory_format=torch.channels_last)
    averaged = AveragedWeights(network, recipe.optimizer.ema)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.optimizer.rate, betas=(0.9, 0.99))
    loss_function = LOSS_FUNCTIONS[recipe.optimizer.loss]
    step, seconds_before = 0, 0.0
    if resume:
        try:
            state = torch.load(checkpoint_path, map_location=device, weights_only=True)
            network.load_state_dict(state["network"])
            averaged.network.load_state_dict(state["averaged"])
            optimizer.load_state_dict(state["optimizer"])
            step, seconds_before = state["step"], state["seconds"]
        except (RuntimeError, KeyError, ValueError, OSError) as error:
            raise CheckpointError(
                f"{checkpoint_path}: not a checkpoint of this recipe.", "Start in another --out."
            ) from error

    corpus = read_corpus(recipe, data_dir)
    sampler = PatchSampler(corpus.training, recipe.data.degradation, recipe.data.patch_px, recipe.scale)
    held_out = PatchSampler(corpus.validation, recipe.data.degradation, recipe.data.patch_px, recipe.scale)
    validation = held_out.batch(VALIDATION_PATCHES, VALIDATION_KEY)

    def seconds() -> float:
        return seconds_before + time.monotonic() - started

    def save() -> None:
        state: dict[str, Any] = {"step": step, "seconds": seconds(), "network": network.state_dict()}
        state |= {"averaged": averaged.network.state_dict(), "optimizer": optimizer.state_dict()}
        _save_atomically(state, checkpoint_path)

    log = _Log(run_dir / "log.csv", fresh=not resume)
    network.train()
    started = last_saved = time.monotonic()
    share_at_start = budget.share_used(seconds(), step)
    losses: list[float] = []
    bar = tqdm(total=100, initial=round(100 * share_at_start, 1), unit="%", disable=not show_progress)
    try:
        for degraded, clean in sampler.batches(recipe.data.batch, recipe.seed, first_step=step + 1):
            share = budget.share_used(seconds(), step)
            if share >= 1:
                break
            rate = learning_rate(recipe.optimizer, share)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                restored = network(_to(degraded, device))
            loss = loss_function(restored.float(), _to(clean, device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.optimizer.clip_norm)
            optimizer.step()
            step += 1
            averaged.update(network, step)
            losses.append(loss.item())
            on_step(step)
            bar.update(round(100 * share, 1) - bar.n)
            if step % validate_every == 0:
                psnr = _validation_psnr(averaged.network, validation, device)
                log.write(step, seconds() / 60, rate, sum(losses) / len(losses), psnr)
                bar.set_postfix(step=step, dB=f"{psnr:.2f}")
                losses.clear()
            if time.monotonic() - last_saved > checkpoint_seconds:
                save()
                last_saved = time.monotonic()
    finally:
        # Also on Ctrl-C: the step in flight is lost, nothing else.
        bar.close()
        save()
    psnr = _validation_psnr(averaged.network, validation, device)
    log.write(step, seconds() / 60, 0.0, sum(losses) / max(1, len(losses)), psnr)
    return checkpoint_path


def learning_rate(optimizer: OptimizerRecipe, share: float) -> float:
    """The rate when `share` (0 to 1) of the budget is used: linear warm-up, then half a cosine."""
    if share < optimizer.warmup:
        return optimizer.rate * max(share / optimizer.warmup, 1e-2)
    angle = math.pi * (share - optimizer.warmup) / (1 - optimizer.warmup)
    return optimizer.last_rate + (optimizer.rate - optimizer.last_rate) * (1 + math.cos(angle)) / 2


@torch.inference_mode()
def _validation_psnr(network: nn.Module, validation: Batch, device: str) -> float:
    """Mean over the patches, peak 1, all channels, in float32."""
    degraded, clean = validation
    total = 0.0
    for one_degraded, one_clean in zip(degraded.split(1), clean.split(1), strict=True):
        restored = network(_to(one_degraded, device)).cpu().clamp(0, 1)
        total -= 10 * math.log10(max((restored - one_clean).square().mean().item(), 1e-10))
    return total / len(degraded)


def _to(batch: torch.Tensor, device: str) -> torch.Tensor:
    return batch.to(device, memory_format=torch.channels_last, non_blocking=True)


def _save_atomically(state: dict[str, Any], path: Path) -> None:
    with replacing(path, overwrite=True) as stream:
        torch.save(state, stream)


class _Log:
    """`log.csv`: a row each validation, appended to when a run is resumed."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self._path = path
        if fresh:
            path.unlink(missing_ok=True)
        if not path.exists():
            self._append(LOG_FIELDS)

    def write(self, step: int, minutes: float, rate: float, loss: float, psnr: float) -> None:
        self._append((step, f"{minutes:.2f}", f"{rate:.3g}", f"{loss:.6f}", f"{psnr:.3f}"))

    def _append(self, row: tuple[Any, ...]) -> None:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerow(row)
