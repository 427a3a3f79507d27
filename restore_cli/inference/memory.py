"""How much memory a picture takes, known before it is taken: the kernel's killer cannot be caught.

Host memory is counted by stages (decode, restore, encode): the arrays of each that are not mapped files (see
`io.canvas`), and what the network holds while it computes a tile. That is measured: the network runs on shapes
without values, and the tensors alive at any moment are added up.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import psutil
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from restore_cli.errors import DeviceMemoryError, RestoreError
from restore_cli.io import canvas
from restore_cli.wrappers.pad import SizeRule
from restore_cli.wrappers.tile import Shape

if TYPE_CHECKING:
    from restore_cli.inference.restorer import Restorer

__all__ = ["MemoryEstimate", "TileMemory", "activation_bytes", "available_memory", "estimate", "usable_memory"]

# What a process has anyway, and what libraries take beside tensors: at worst 2.2 times the tensors (DRCT), 1.2 to
# 1.8 times for the other architectures, by RssAnon; oneDNN keeps copies of a layer's input in its own order.
WORK_SPACE_FACTOR = 2
FIXED_BYTES = 64 * 1024 * 1024
# Above every network measured (SwinIR 9, HAT 13 KB); also what one is taken for that cannot be run on shapes.
DECLARED_BYTES_PER_PIXEL = 32 * 1024
# Of the memory that is free: it is not all ours, and what is free now may not be in an hour.
USABLE = 0.75
# Sides of the tiles that are measured. What grows with the number of pixels grows by no more than so much a pixel
# between them: padding to windows makes it uneven.
PROBES_PX = (64, 128)
PROPORTIONAL = 1.1
SAMPLE_BYTES = 4  # of a decoded or encoded sample, at most
# Formats that are read and written by rows, at least where the picture is large; of the others the library holds
# everything, and a copy: Pillow four bytes a pixel of three, and what it was made from or turned into.
BY_ROWS = frozenset({"TIFF", "PNG", "PPM"})
WHOLE_BYTES = 3


@dataclass(frozen=True)
class MemoryEstimate:
    """What restoring one picture takes at its peak, in bytes.

    Attributes:
        host_bytes: of host memory, mapped files apart; the program itself is not counted.
        device_bytes: of a device that is not the CPU, else 0.
        mapped_bytes: of temporary files in `io.canvas.folder()`.
    """

    host_bytes: int
    device_bytes: int
    mapped_bytes: int

    def check(self) -> None:
        """Refuse what cannot fit.

        Raises:
            DeviceMemoryError: the host has not that much memory.
            RestoreError: the folder of temporary files has not that much room.
        """
        available, place = available_memory(), canvas.folder()
        if self.host_bytes > available:
            raise DeviceMemoryError(
                f"It would take {self.host_bytes / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are free.",
                "Close other programs, set a smaller --tile, or cut the picture into parts.",
            )
        free = psutil.disk_usage(str(place)).free if self.mapped_bytes else 0
        if self.mapped_bytes > free:
            raise RestoreError(
                f"It would take {self.mapped_bytes / 1e9:.1f} GB of temporary disk space; "
                f"{place} has {free / 1e9:.1f} GB.",
                "Set RESTORE_TMPDIR to a folder on a larger disk.",
            )


def available_memory() -> int:
    """Bytes of host memory this process can take before something is swapped out or killed.

    What the system says is available, or less where a control group (a container, a batch system's job) has a
    limit of its own.
    """
    left = (group.left() for group in _groups_of_this_process())
    return min([int(psutil.virtual_memory().available), *(each for each in left if each is not None)])


def usable_memory() -> int:
    """What of the available memory a tile may count on."""
    return int(available_memory() * USABLE)


def estimate(
    restorer: Restorer,
    height: int,
    width: int,
    channels: int,
    *,
    source_format: str = "TIFF",
    target_format: str = "TIFF",
    measured: bool = False,
) -> MemoryEstimate:
    """The peak of reading, restoring and writing a picture of this size.

    Args:
        restorer: decides about tiles, precision, ensemble and WNE; on a CPU the tiles are those that fit.
        height: rows of the input.
        width: columns of the input.
        channels: of the input, alpha included.
        source_format: of its file, as `io.formats.sniff` names it.
        target_format: of the result's.
        measured: whether the network's share is to be a figure to show; else it is a bound, which says whether the
            picture fits, and takes no time.
    """
    source = height * width * channels
    result = source * restorer.scale**2
    # The float32 input is alive throughout.
    restoring = [source, result]
    if restorer.wne:
        restoring += [source, result]
    if restorer.tta:
        restoring += [source, result, result]
    stages = (
        [source * 4, source * SAMPLE_BYTES],
        [samples * 4 for samples in restoring],
        [source * 4, result * 4, result * SAMPLE_BYTES],
    )
    # Through a grey network colours go as a batch.
    batch = channels if restorer.channels == 1 else 1
    tile, on_host = restorer.tile_bytes(height, width, batch, measured=measured), restorer.device.type == "cpu"
    kept = [sum(size for size in sizes if not canvas.is_mapped(size)) for sizes in stages]
    kept[0] += 0 if source_format in BY_ROWS else source * WHOLE_BYTES
    kept[1] += tile if on_host else 0
    kept[2] += 0 if target_format in BY_ROWS else result * WHOLE_BYTES
    return MemoryEstimate(
        host_bytes=max(kept),
        device_bytes=0 if on_host else tile,
        mapped_bytes=max(sum(size for size in sizes if canvas.is_mapped(size)) for sizes in stages),
    )


class TileMemory:
    """What a network takes for a tile, from two measurements on small ones.

    Args:
        network: in float32.
        rule: sizes it accepts.
        conditioning: what it must be given beside a batch.
    """

    def __init__(self, network: nn.Module, rule: SizeRule, conditioning: Mapping[str, Tensor]) -> None:
        self._network = network
        self._rule = rule
        self._conditioning = conditioning
        self._lock = Lock()

    def needed(self, shape: Shape, *, measured: bool = False) -> int:
        """Bytes for a (N, C, H, W), work space of the libraries included.

        Args:
            shape: of the tile.
            measured: False to do with a bound above all networks where the host has as much: measuring takes seconds,
                once.
        """
        batch, channels, height, width = shape
        pixels = height * width
        declared = batch * pixels * DECLARED_BYTES_PER_PIXEL
        if not measured and declared <= usable_memory():
            return declared
        with self._lock:
            linear, quadratic = self._growth(channels)
        return FIXED_BYTES + int(WORK_SPACE_FACTOR * batch * (linear * pixels + quadratic * pixels**2))

    def shortage(self, shape: Shape) -> str:
        """Why a tile of this shape will not fit into host memory; "" if it will."""
        needed, usable = self.needed(shape), usable_memory()
        if needed <= usable:
            return ""
        return f"tiles of {max(shape[2:])} pixels would take {needed / 1e9:.2g} GB, {usable / 1e9:.2g} GB can be had"

    @cache  # noqa: B019 - it lives as long as the restorer it belongs to, and so does what is kept
    def _growth(self, channels: int) -> tuple[float, float]:
        """Bytes a pixel, and a pixel squared: that of attention between all pixels."""
        sizes = [self._rule.padded(side, side) for side in PROBES_PX]
        measured = [activation_bytes(self._network, (1, channels, *size), self._conditioning) for size in sizes]
        pixels = [height * width for height, width in sizes]
        small, large = (each / count for each, count in zip(measured, pixels, strict=True))
        if large <= small * PROPORTIONAL or pixels[0] == pixels[1]:
            return max(small, large), 0.0
        quadratic = (large - small) / (pixels[1] - pixels[0])
        return small - quadratic * pixels[0], quadratic


def activation_bytes(network: nn.Module, shape: Shape, conditioning: Mapping[str, Tensor]) -> int:
    """The most that the tensors `network` makes of a batch of `shape` take at once, the batch included; float32.

    Nothing is computed, and `network` is not changed. Where it cannot be run on shapes alone, 32 KB a pixel.
    """
    # The weights are shared; what modules keep of the last picture's shape (masks, positions) is not.
    twin = copy.deepcopy(network, {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())})
    alive = _Alive()
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), alive:
            given = {name: torch.empty(value.shape) for name, value in conditioning.items()}
            twin(torch.empty(shape), **given)
    except Exception:  # forty architectures of other people: some ask for values
        return shape[0] * shape[2] * shape[3] * DECLARED_BYTES_PER_PIXEL
    return alive.peak_bytes


class _Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that operations have made and that are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._bytes = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._sizes:  # else a view, or the result of an operation in place
            self._sizes[key] = storage.nbytes()
            self._bytes += storage.nbytes()
            self.peak_bytes = max(self.peak_bytes, self._bytes)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._bytes -= self._sizes.pop(key, 0)


@dataclass(frozen=True)
class _Group:
    """A control group, version 2 or 1, by the files that tell of its memory; the last one's field of the file cache."""

    limit: Path
    usage: Path
    stat: Path
    cache_name: str

    def left(self) -> int | None:
        """Bytes below its limit; None where it has none."""
        try:
            limit, usage = self.limit.read_text().strip(), int(self.usage.read_text())
            fields = dict(line.split() for line in self.stat.read_text().splitlines())
        except (OSError, ValueError):
            return None
        if not limit.isdecimal():  # "max"
            return None
        # Pages of files are counted as used, and given back before anything is killed.
        return max(0, int(limit) - usage + int(fields.get(self.cache_name, 0)))


@cache
def _groups_of_this_process() -> tuple[_Group, ...]:
    """Those with a limit: asked once, for memory is asked about a few times a picture."""
    return tuple(_limited_groups(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))


def _limited_groups(membership: Path, root: Path) -> list[_Group]:
    """The control groups with a limit of memory that a process is in."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else root
        limit, usage, cache_name = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        group = base / path.lstrip("/")
        # In a container the path may be that outside, which is not to be seen inside.
        for place in (group, *(parent for parent in group.parents if parent.is_relative_to(base))):
            found.append(_Group(place / limit, place / usage, place / "memory.stat", cache_name))
    return [group for group in found if group.left() is not None]
