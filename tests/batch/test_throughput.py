from __future__ import annotations

import itertools

from restore_cli.batch.settings import Settings
from restore_cli.batch.throughput import Throughput, make_pictures, measure_throughput
from restore_cli.io.read import read_size
from restore_cli.options import RunOptions


def test_folder_and_network_are_timed_in_turns_on_the_same_tiles(weights, tmp_path):
    pictures = make_pictures(tmp_path / "in", 3, 40)
    assert {read_size(path) for path in pictures} == {(40, 40)}
    settings = Settings("denoise", (str(weights["x1"]),), run=RunOptions(device="cpu", tile_px=24))
    ticks = itertools.count()
    measured = measure_throughput(settings, pictures, tmp_path / "out", 2, batch=2, clock=lambda: next(ticks) ** 2)
    # Folder, network, batches; then the three again: each run is one tick longer than the one before.
    assert measured.folder_seconds == (1, 13)
    assert measured.network_seconds == (5, 17)
    assert measured.batched_seconds == (9, 21)
    restorer = settings.open().restorer
    assert measured.tiles == 3 * restorer.pieces(40, 40) > 3
    assert (measured.files, measured.megapixels) == (3, 0.0048)
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_ratios_are_those_of_each_round():
    measured = Throughput(1, 1, 1.0, (1.0, 2.0, 4.0), (0.9, 1.9, 2.0), (0.9, 0.95, 1.0), 4, True)
    assert measured.share == 0.9
    assert measured.batch_gain == 2.0
