"""The training loop, to be read from top to bottom.

Whatever ends a run - the budget, Ctrl-C, a crash, the machine - at most the minutes since the last
checkpoint are lost: everything needed to go on is in one file, written aside and renamed.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from restore_cli.errors import CheckpointError, DeviceMemoryError, RecipeError, RestoreError
from restore_cli.inference.inspect import watched_blocks
from restore_cli.training.config import OptimizerRecipe, Recipe
from restore_cli.training.corpus import read_corpus
from restore_cli.training.ema import AveragedWeights
from restore_cli.training.interrupts import DeferredInterrupt
from restore_cli.training.losses import LOSS_FUNCTIONS
from restore_cli.training.network import EveryStage, Trainee, build_trainee
from restore_cli.training.patches import Batch, PatchSampler, patch_batches
from restore_cli.training.processes import Team
from restore_cli.training.record import NO_CHECKPOINT, LogRow, RunFolder

__all__ = ["Budget", "learning_rate", "train"]

VALIDATION_PATCHES = 16
VALIDATION_KEY = (2**31, 1)  # no recipe has this seed
INTERRUPTED = 2.0  # in place of the share of the budget


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many minutes or steps of training, whichever comes first."""

    minutes: float
    steps: int | None = None

    def share_used(self, seconds: float, step: int) -> float:
        """0 at the start, 1 at the end."""
        by_time = seconds / (60 * self.minutes)
        return min(1.0, max(by_time, step / self.steps if self.steps else 0.0))


def train(
    recipe: Recipe,
    data_dir: Path,
    run_dir: Path,
    *,
    budget: Budget | None = None,
    team: Team | None = None,
    compile_backend: str | None = None,
    resume: bool = False,
    validate_every: int | None = None,
    checkpoint_seconds: float = 180,
    show_progress: bool = True,
    on_step: Callable[[int], None] = lambda step: None,
) -> Path:
    """Train until the budget is used up.

    Arithmetic is bfloat16 where autocast allows it, weights are float32. On the CPU a resumed run whose budget is
    `steps` equals an uninterrupted one to the bit; under one of time, rate and end follow the clock.

    Args:
        recipe: what to train, on what, and how.
        data_dir: holds the recipe's picture folders.
        run_dir: receives `checkpoint.pt`, `log.csv` and `log.png`.
        budget: overrides the recipe's.
        team: this process among those that train together, and its device; None is one CPU process.
        compile_backend: of `torch.compile`; None does not compile.
        resume: go on from the checkpoint in `run_dir`.
        validate_every: steps between two validations on held-out pictures; overrides the recipe's.
        checkpoint_seconds: time between two checkpoints.
        show_progress: a bar with the time left, on standard error.
        on_step: told the number of each finished step; may raise to stop the run.

    Returns:
        The path of the last checkpoint.

    Raises:
        CheckpointError: `resume` without a checkpoint, or without `resume` over an existing one.
        InputError: no pictures, or none large enough.
        RecipeError: network and pictures do not go together, or the weights ran away.
        DeviceMemoryError: batch and network do not fit on the device.
        KeyboardInterrupt: after Ctrl-C, once the step is finished and the checkpoint written.
    """
    budget = budget or Budget(recipe.optimizer.minutes, recipe.optimizer.steps)
    validate_every = validate_every or recipe.log.every
    team = team or Team("cpu")
    folder = RunFolder(run_dir, resume=resume)

    corpus = read_corpus(recipe, data_dir)
    sampler, held_out = (
        PatchSampler(
            scenes,
            recipe.data.patch_px,
            recipe.scale,
            recipe.data.degradation,
            recipe.data.grey_share,
            recipe.data.saturation,
            name=name,
        )
        for name, scenes in (("training", corpus.training), ("held-out", corpus.validation))
    )
    if show_progress and team.is_main and (small := len(corpus.training) - len(sampler.scenes)):
        tqdm.write(
            f"{small} of {len(corpus.training)} training pictures are smaller than a patch: left out.", sys.stderr
        )
    validation = held_out.batch(VALIDATION_PATCHES, VALIDATION_KEY)

    torch.manual_seed(recipe.seed)
    trainee = build_trainee(recipe, fresh=not resume)
    network = trainee.network.to(team.device).to(memory_format=torch.channels_last)
    averaged = AveragedWeights(network, recipe.optimizer.ema)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.optimizer.rate, betas=(0.9, 0.99))
    loss_function = LOSS_FUNCTIONS[recipe.optimizer.loss]
    step, seconds_before = 0, 0.0
    if resume:
        try:
            state = torch.load(folder.checkpoint, map_location="cpu", weights_only=True)
            network.load_state_dict(state["network"])
            averaged.network.load_state_dict(state["averaged"])
            optimizer.load_state_dict(state["optimizer"])
            step, seconds_before = state["step"], state["seconds"]
        except NO_CHECKPOINT as error:
            raise CheckpointError(
                f"{folder.checkpoint}: not a checkpoint of this recipe.", "Start in another --out."
            ) from error
        folder.read_rows(step)
    # Compiled around the same weights, whose names stay what they are.
    forward = EveryStage(network)
    if compile_backend:
        forward.compile(backend=compile_backend)

    size = recipe.data.batch // team.count
    batches = patch_batches(
        sampler, size, recipe.seed, step + 1, first_patch=team.index * size, workers=recipe.data.workers
    )

    def seconds() -> float:
        return seconds_before + time.monotonic() - started

    def check_finite() -> None:
        if not is_finite.item():
            raise RecipeError(
                f"Recipe '{recipe.name}': the gradients stopped being numbers before step {step}.",
                "Lower optimizer.rate and go on with --resume: the last checkpoint is from before."
                if folder.checkpoint.exists()
                else "Lower optimizer.rate and start again.",
            )

    def log(rate: float) -> None:
        check_finite()
        loss = (team.mean(loss_sum) / (step - logged_step)).item()
        if team.is_main:
            psnr = validation_psnr(trainee, averaged, validation)
            largest = largest_feature(trainee, averaged, validation) if recipe.log.features else None
            folder.add_row(LogRow(step, seconds() / 60, rate, loss, psnr, largest))
            bar.set_postfix(step=step, dB=f"{psnr:.2f}")

    def save() -> None:
        check_finite()
        state = {"step": step, "seconds": seconds(), "network": network.state_dict()}
        state |= {"averaged": averaged.network.state_dict(), "optimizer": optimizer.state_dict()}
        folder.save(state)

    network.train()
    is_whole, is_finite = True, torch.ones((), dtype=torch.bool, device=team.device)
    rate, logged_step, loss_sum = 0.0, step, torch.zeros((), device=team.device)
    started = last_saved = time.monotonic()
    share = budget.share_used(seconds(), step)
    bar = tqdm(total=100, initial=round(100 * share, 1), unit="%", disable=not (show_progress and team.is_main))
    # Ctrl-C reaches each process of a team twice, from the terminal and from the one that started them.
    interrupts = DeferredInterrupt(patient=team.count > 1)
    with interrupts, bar, _explained(recipe, team, compile_backend):
        try:
            for degraded, clean in batches:
                share = team.agreed(INTERRUPTED if interrupts.requested else budget.share_used(seconds(), step))
                if share >= 1:
                    break
                rate = learning_rate(recipe.optimizer, share)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                # Also stochastic depth and the like are a function of the step alone.
                torch.manual_seed(step_seed(recipe.seed, step, team.index))
                degraded, clean = _to(degraded, team.device), _to(clean, team.device)
                with torch.autocast(team.device.type, torch.bfloat16):
                    stages = forward(degraded, **trainee.conditioning(degraded, clean))
                if stages[-1].shape != clean.shape:
                    raise RecipeError(f"The network makes {tuple(stages[-1].shape)}, not {tuple(clean.shape)}.")
                loss = torch.stack([loss_function(each.float(), clean) for each in stages]).sum()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                team.average_gradients(network)
                norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.optimizer.clip_norm)
                is_whole = False
                optimizer.step()
                step += 1
                averaged.update(network, step)
                is_whole = True
                is_finite &= norm.isfinite()
                loss_sum += loss.detach()
                on_step(step)
                bar.update(round(100 * share, 1) - bar.n)
                if step % validate_every == 0:
                    log(rate)
                    logged_step = step
                    loss_sum.zero_()
                if team.is_main and time.monotonic() - last_saved > checkpoint_seconds:
                    save()
                    last_saved = time.monotonic()
            if step > logged_step and share != INTERRUPTED:
                log(rate)
        finally:
            if is_whole and team.is_main:
                save()
    team.wait()  # nobody leaves before the checkpoint is there
    if share == INTERRUPTED:
        raise KeyboardInterrupt
    return folder.checkpoint


def learning_rate(optimizer: OptimizerRecipe, share: float) -> float:
    """The rate when `share` (0 to 1) of the budget is used: linear warm-up, then half a cosine."""
    if share < optimizer.warmup:
        return optimizer.rate * max(share / optimizer.warmup, 1e-2)
    angle = math.pi * (share - optimizer.warmup) / (1 - optimizer.warmup)
    return optimizer.last_rate + (optimizer.rate - optimizer.last_rate) * (1 + math.cos(angle)) / 2


def step_seed(seed: int, step: int, process: int) -> int:
    """A seed for torch, another for each step and process."""
    return int(np.random.SeedSequence((seed, step, process)).generate_state(1)[0])


@torch.inference_mode()
def validation_psnr(trainee: Trainee, averaged: AveragedWeights, validation: Batch) -> float:
    """Mean over the patches, peak 1, all channels, in float32."""
    device = next(averaged.network.parameters()).device
    total = 0.0
    for degraded, clean in zip(*(each.split(1) for each in validation), strict=True):
        told = trainee.conditioning(degraded, clean)
        restored = averaged.network(_to(degraded, device), **{name: each.to(device) for name, each in told.items()})
        total -= 10 * math.log10(max((restored.cpu().clamp(0, 1) - clean).square().mean().item(), 1e-10))
    return total / len(validation[0])


def largest_feature(trainee: Trainee, averaged: AveragedWeights, validation: Batch) -> float:
    """Largest absolute value that a block hands on while the patches are restored; NaN of a network without blocks."""
    with watched_blocks(averaged.network) as blocks:
        validation_psnr(trainee, averaged, validation)
    return max((block.max_magnitude for block in blocks), default=math.nan)


@contextlib.contextmanager
def _explained(recipe: Recipe, team: Team, compile_backend: str | None) -> Iterator[None]:
    """Failures of device and compiler in our words."""
    compiler_errors: tuple[type[Exception], ...] = ()
    if compile_backend:
        from torch._dynamo.exc import TorchDynamoException  # seconds to import

        compiler_errors = (TorchDynamoException,)
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            f"{team.device}: no memory for {recipe.data.batch // team.count} patches of {recipe.data.patch_px} pixels.",
            "Lower data.batch or data.patch_px, or share the batch among GPUs with --processes.",
        ) from error
    except compiler_errors as error:
        reason = str(error).strip().partition("\n")[0]
        raise RestoreError(f"torch.compile failed: {reason}", "Go on with --resume --no-compile.") from error


def _to(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    return batch.to(device, memory_format=torch.channels_last, non_blocking=True)
