"""Memory is counted before it is taken, runs out without harm, and does not grow with the picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from restore_cli.errors import DeviceMemoryError, RestoreError
from restore_cli.inference import memory
from restore_cli.inference.engine import restore_image
from restore_cli.inference.memory import TileMemory, activation_bytes, available_memory, estimate
from restore_cli.inference.restorer import Restorer, hearing, naming
from restore_cli.io import canvas
from restore_cli.io.image import Image
from restore_cli.io.write import write_image
from restore_cli.models.build import Model
from restore_cli.models.registry import Network
from restore_cli.options import FinishOptions, Hints, Precision, RunOptions
from restore_cli.tasks import TASKS
from restore_cli.wrappers.pad import SizeRule
from tests.networks import small_network

MEGABYTE = 1024 * 1024


class Notes:
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)

    def tiles(self, done, total):
        pass


class FailsAt(nn.Module):
    """Sharpens 3x3 pixels and enlarges, but runs out of memory at the given calls, counted from 0."""

    def __init__(self, scale=1, calls=()):
        super().__init__()
        self.scale, self.calls, self.seen = scale, calls, 0

    def forward(self, picture):
        self.seen += 1
        if self.seen - 1 in self.calls:
            # Half a result lies about when memory runs out.
            picture.mul_(0)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        sharp = 2 * picture - nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
        return sharp.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


def restorer_of(module, observer=None, channels=3, **options) -> Restorer:
    network = Network(module, "test", getattr(module, "scale", 1), channels, SizeRule(), radius_px=1)
    return Restorer(Model("test", network), RunOptions(**{"device": "cpu", **options}), observer)


def image(height=40, width=52, channels=3, alpha=False, bit_depth=16) -> Image:
    rng = np.random.default_rng(height + width)
    pixels = 0.2 + 0.6 * rng.random((height, width, channels), np.float32)
    return Image(pixels, rng.random((height, width), np.float32) if alpha else None, bit_depth, "PNG", "RGB;16")


@pytest.fixture
def crowded(monkeypatch):
    """A machine with so many bytes free."""

    def crowd(free: int) -> None:
        monkeypatch.setattr(memory, "available_memory", lambda: free)

    return crowd


@pytest.fixture
def nothing_is_small(monkeypatch):
    """Every array is a mapped file, and a band a few rows high."""

    def switch() -> None:
        monkeypatch.setattr(canvas, "LIMIT_BYTES", 0)
        monkeypatch.setattr(canvas, "BAND_BYTES", 4096)

    return switch


# --- what there is ---


def test_what_is_available_is_no_more_than_the_machine_has():
    assert 0 < available_memory() <= psutil.virtual_memory().total


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts_and_its_file_cache_does_not(tmp_path, version):
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }
    limit, usage, cache = names[version]
    base = tmp_path / "memory" if version == 1 else tmp_path
    group = base / "batch/job"
    group.mkdir(parents=True)
    for place, bytes_allowed in ((group, "900"), (group.parent, "800")):
        (place / limit).write_text(f"{bytes_allowed}\n")
        (place / usage).write_text("500\n")
        (place / "memory.stat").write_text(f"anon 1\n{cache} 200\n")
    membership = tmp_path / "membership"
    membership.write_text("4:memory:/batch/job\n3:cpuset:/\n" if version == 1 else "0::/batch/job\n")
    inner, outer = memory._limited_groups(membership, tmp_path)
    assert (inner.left(), outer.left()) == (600, 500)
    (group / limit).write_text("max\n")
    (group.parent / limit).write_text("400\n")
    assert (inner.left(), outer.left()) == (None, 100)
    assert memory._limited_groups(membership, tmp_path) == [outer]
    assert memory._limited_groups(tmp_path / "nothing", tmp_path) == []


# --- what a network takes ---


def test_the_tensors_alive_at_once_are_added_up():
    plane = 4 * 100 * 50
    chain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 1, 1))
    # The batch is held throughout; before the last layer both sides of the middle one were.
    assert activation_bytes(chain, (1, 3, 100, 50), {}) == (3 + 8 + 16) * plane
    assert activation_bytes(chain, (2, 3, 100, 50), {}) == 2 * (3 + 8 + 16) * plane


@pytest.mark.parametrize("arch_id", ["unet", "swinir", "hi-ir", "iitransformer"])
def test_measuring_a_network_computes_and_changes_nothing(arch_id):
    network = small_network(arch_id).float()
    picture = torch.rand(1, 3, 24, 40)
    expected = network(picture)
    found = activation_bytes(network, (1, 3, 64, 48), {})
    assert 3 * 64 * 48 * 4 < found < 64 * 48 * memory.DECLARED_BYTES_PER_PIXEL
    assert torch.equal(network(picture), expected)


def test_a_network_that_asks_for_values_is_taken_for_a_large_one():
    class Asks(nn.Module):
        def forward(self, picture):
            return picture if picture.mean().item() > 0 else -picture

    assert activation_bytes(Asks(), (1, 3, 10, 10), {}) == 100 * memory.DECLARED_BYTES_PER_PIXEL


@pytest.mark.parametrize(("bytes_of", "expected"), [(lambda n: 500 * n, 500e6), (lambda n: 100 * n + n**2 / 10, 1e11)])
def test_what_fits_anyway_is_not_measured_and_the_rest_is_once(monkeypatch, crowded, bytes_of, expected):
    measured = []

    def measure(network, shape, given):
        measured.append(shape)
        return bytes_of(shape[2] * shape[3])

    monkeypatch.setattr(memory, "activation_bytes", measure)
    tiles = TileMemory(nn.Identity(), SizeRule(48), {})
    crowded(10**9)
    assert tiles.needed((1, 3, 100, 100)) == 10_000 * memory.DECLARED_BYTES_PER_PIXEL and not measured
    found = tiles.needed((1, 3, 1000, 1000)), tiles.needed((2, 3, 1000, 1000))
    for batch, needed in enumerate(found, start=1):
        taken = (needed - memory.FIXED_BYTES) / memory.WORK_SPACE_FACTOR / batch
        assert taken == pytest.approx(expected, rel=0.01)
    assert tiles.needed((1, 3, 100, 100), measured=True) != 10_000 * memory.DECLARED_BYTES_PER_PIXEL
    assert measured == [(1, 3, 96, 96), (1, 3, 144, 144)]


@pytest.mark.parametrize("arch_id", ["unet", "swinir", "hinet"])
def test_what_is_measured_on_small_tiles_holds_for_large_ones(arch_id, crowded):
    network = small_network(arch_id).float()
    crowded(0)
    tiles = TileMemory(network, SizeRule(network.size_multiple), {})
    taken = (tiles.needed((1, 3, 320, 192)) - memory.FIXED_BYTES) / memory.WORK_SPACE_FACTOR
    assert taken / activation_bytes(network, (1, 3, 320, 192), {}) == pytest.approx(1.1, abs=0.2)


# --- a CPU's tiles are those that fit ---


@pytest.fixture
def nothing_can_be_measured(monkeypatch):
    monkeypatch.setattr(memory, "activation_bytes", lambda network, shape, given: shape[2] * shape[3] * 50_000)


def test_tiles_shrink_until_they_fit_and_the_result_is_the_same(crowded, nothing_can_be_measured):
    picture, notes = torch.rand(1, 3, 200, 150), Notes()
    module = FailsAt()
    expected = restorer_of(FailsAt())(picture)
    crowded(100 * 100 * 100_000 + memory.FIXED_BYTES)
    with naming("in.tif"):
        restored = restorer_of(module, notes)(picture)
    torch.testing.assert_close(restored, expected, atol=1e-6, rtol=0)
    assert module.seen >= 4
    assert all(note.startswith("in.tif: Not enough memory (tiles of ") for note in notes.notes) and notes.notes


@pytest.mark.parametrize("options", [{}, {"crops_px": 64}])
def test_what_cannot_fit_is_refused_with_numbers(crowded, nothing_can_be_measured, options):
    module = FailsAt()
    crowded(MEGABYTE)
    with pytest.raises(DeviceMemoryError, match=r"would take .* GB, 0.00079 GB can be had"):
        restorer_of(module, **options)(torch.rand(1, 3, 100, 100))
    assert not module.seen


def test_an_estimate_counts_stages_and_tells_files_from_memory(monkeypatch):
    plain = restorer_of(FailsAt())
    small = estimate(plain, 100, 100, 3)
    assert small.mapped_bytes == small.device_bytes == 0
    assert small.host_bytes >= 2 * 100 * 100 * 3 * 4 + plain.tile_bytes(100, 100)
    large = estimate(plain, 20_000, 20_000, 3)
    assert large.mapped_bytes >= 2 * 400_000_000 * 3 * 4
    assert large.host_bytes < 4e9
    assert estimate(restorer_of(FailsAt(), tta=True), 20_000, 20_000, 3).mapped_bytes > large.mapped_bytes
    assert estimate(restorer_of(FailsAt(4)), 20_000, 20_000, 3).mapped_bytes > 16 * large.mapped_bytes / 3
    # What is not read or written by rows is whole in memory, whatever its size.
    assert estimate(plain, 20_000, 20_000, 3, source_format="JPEG").host_bytes >= 3 * 400_000_000 * 3
    assert estimate(plain, 20_000, 20_000, 3, target_format="WEBP").host_bytes >= 3 * 400_000_000 * 3
    plain.device = torch.device("cuda")
    on_device = estimate(plain, 100, 100, 3)
    assert on_device.device_bytes > 0 and on_device.host_bytes < small.host_bytes


def test_an_estimate_that_cannot_be_met_is_refused(crowded, monkeypatch):
    crowded(8 * 10**9)
    memory.MemoryEstimate(10**9, 0, 0).check()
    with pytest.raises(DeviceMemoryError, match=r"9\.0 GB of memory, and 8\.0 GB"):
        memory.MemoryEstimate(9 * 10**9, 0, 0).check()
    with pytest.raises(RestoreError, match="temporary disk space"):
        memory.MemoryEstimate(0, 0, 10**17).check()


# --- memory that runs out all the same ---


@pytest.mark.parametrize(("alpha", "options"), [(False, {}), (True, {"wne": True}), (False, {"tta": True})])
def test_running_out_at_any_call_leaves_no_trace(alpha, options):
    picture = image(alpha=alpha)
    options = {"tile_px": 32, "overlap_px": 4, **options}
    whole = FailsAt()
    expected = restore_image(picture, restorer_of(whole, **options), TASKS["denoise"])
    assert whole.seen >= 4
    for failing in range(whole.seen):
        notes = Notes()
        ready = restorer_of(FailsAt(calls={failing}), notes, **options)
        restored = restore_image(picture, ready, TASKS["denoise"], name="in.png")
        assert np.allclose(restored.pixels, expected.pixels, atol=2e-6)
        assert notes.notes == ["in.png: Not enough memory (CUDA out of memory); starting over with tiles of 18 pixels."]


def test_layers_are_let_go_before_the_next_try():
    class Holds(FailsAt):
        def forward(self, picture):
            layer = picture + 0
            self.layers.append(weakref.ref(layer))
            if len(self.layers) > 1:
                assert self.layers[0]() is None
            return super().forward(layer)

    module = Holds(calls={0})
    module.layers = []
    restorer_of(module)(torch.rand(1, 3, 64, 64))
    assert len(module.layers) > 1


def test_a_device_too_small_for_any_tile_leaves_the_picture_to_the_cpu():
    picture, notes = image(), Notes()
    expected = restore_image(picture, restorer_of(FailsAt()), TASKS["denoise"])
    # 52 pixels are halved twice: three tries fail.
    module = FailsAt(calls=set(range(3)))
    ready = restorer_of(module, notes)
    ready.device = torch.device("cuda:1")
    with hearing() as heard:
        restored = restore_image(picture, ready, TASKS["denoise"], name="in.png")
    assert heard.on_cpu and heard.tile_px is None
    assert np.array_equal(restored.pixels, expected.pixels)
    assert "even with tiles of" in notes.notes[-1] and notes.notes[-1].startswith("in.png: ")
    assert notes.notes[-1].endswith("It is restored on the CPU instead of cuda:1.")
    with pytest.raises(DeviceMemoryError):
        restore_image(picture, restorer_of(FailsAt(calls=set(range(9)))), TASKS["denoise"])


def test_an_overflow_is_noted_with_the_files_name():
    class Overflows(nn.Module):
        def forward(self, picture):
            return picture / (0 if torch.is_autocast_enabled("cpu") else 1)

    picture, notes = image(), Notes()
    ready = restorer_of(Overflows(), notes, precision=Precision.BF16)
    restored = restore_image(picture, ready, TASKS["denoise"], name="in.png")
    assert np.array_equal(restored.pixels, picture.pixels)
    assert notes.notes == ["in.png: bf16 overflowed; such tiles were computed in fp32."]


# --- pictures of any size ---


CASES = {
    "plain": (1, {}, {}, {}),
    "ensemble": (2, {}, {"tta": True}, {}),
    "wne": (1, {}, {"wne": True}, {}),
    "alpha": (1, {"alpha": True}, {}, {}),
    "alpha enlarged": (2, {"alpha": True}, {}, {"strength": 0.4}),
    "grey": (2, {"channels": 1}, {}, {"strength": 0.4}),
    "mask": (2, {"alpha": True}, {}, {"mask": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_large_picture_is_restored_as_a_small_one(case, nothing_is_small, tmp_path):
    scale, kind, options, finish = CASES[case]
    picture = image(**kind)
    if finish.get("mask"):
        write_image(image(channels=1), tmp_path / "mask.png")
        finish = {"mask": tmp_path / "mask.png"}
    task = TASKS["sr" if scale > 1 else "denoise"]

    def restored():
        ready = restorer_of(FailsAt(scale), tile_px=24, overlap_px=4, **options)
        result = restore_image(picture, ready, task, finish=FinishOptions(**finish))
        write_image(result, tmp_path / "out.tif", overwrite=True)
        return result, (tmp_path / "out.tif").read_bytes()

    expected, expected_file = restored()
    nothing_is_small()
    found, found_file = restored()
    assert np.allclose(found.pixels, expected.pixels, atol=2e-6)
    assert found.pixels.flags.c_contiguous and found.pixels.dtype == np.float32
    assert (found.alpha is None) == (expected.alpha is None)
    if found.alpha is not None:
        assert np.allclose(found.alpha, expected.alpha, atol=2e-6)
    if np.array_equal(found.pixels, expected.pixels) and found.alpha is None:
        assert found_file == expected_file


def test_a_large_colour_picture_through_a_grey_network_and_a_large_mosaic(nothing_is_small):
    def both():
        grey = restorer_of(FailsAt(), channels=1, tile_px=24, overlap_px=4)
        colours = restore_image(image(), grey, TASKS["denoise"]).pixels
        mosaic = restore_image(image(channels=1), restorer_of(FailsAt()), TASKS["demosaic"], Hints()).pixels
        return colours, mosaic

    expected = both()
    nothing_is_small()
    for found, wanted in zip(both(), expected, strict=True):
        assert np.allclose(found, wanted, atol=2e-6)


def measured(folder: Path, side: int, *arguments: str) -> dict:
    """What the program `large_picture` says."""
    program = Path(__file__).with_name("large_picture.py")
    environment = {**os.environ, "RESTORE_TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(program), str(side), str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RssAnon is Linux's")
def test_memory_does_not_grow_with_the_picture(tmp_path):
    # As floats 26 megabytes, of which there would be two or more.
    found = measured(tmp_path, 1500, str(MEGABYTE), "--tile", "128")
    assert found["peak_bytes"] - found["before_bytes"] < 16 * MEGABYTE
    assert found["after"] == pytest.approx(found["before"], abs=1e-3) and found["black_rows"] == 0


@pytest.mark.torture
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RssAnon is Linux's")
def test_400_megapixels_take_less_than_4_gigabytes(tmp_path):
    found = measured(tmp_path, 20_000)
    assert found["peak_bytes"] < 4e9
    assert found["after"] == pytest.approx(found["before"], abs=1e-3) and found["black_rows"] == 0
