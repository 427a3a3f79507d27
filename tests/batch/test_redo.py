"""Files found by what is in them, and two results compared."""

import hashlib

import numpy as np
import pytest

from restore_cli.batch.plan import Job
from restore_cli.batch.record import formats_without_room
from restore_cli.batch.redo import compare, find_named
from restore_cli.batch.settings import Settings
from restore_cli.errors import InputError
from restore_cli.io.paths import Source
from restore_cli.io.provenance import NamedFile
from restore_cli.options import Encoding
from tests.pictures import values, write


def named(name, content):
    return NamedFile(name, hashlib.sha256(content).hexdigest())


def test_a_file_is_found_by_name_in_folders_and_by_content_where_it_is_named(tmp_path):
    for place, content in (("a", b"other"), ("b", b"this")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "in.png").write_bytes(content)
    (tmp_path / "renamed.png").write_bytes(b"this")
    wanted = named("in.png", b"this")
    folders = [tmp_path / "none", tmp_path / "a", tmp_path / "b"]
    assert find_named(wanted, folders, "input", "") == tmp_path / "b" / "in.png"
    assert find_named(wanted, [tmp_path / "renamed.png"], "input", "") == tmp_path / "renamed.png"


def test_a_file_of_that_name_and_another_content_is_not_taken(tmp_path):
    (tmp_path / "in.png").write_bytes(b"other")
    with pytest.raises(InputError, match=r"in\.png is not the mask of that run"):
        find_named(named("in.png", b"this"), [tmp_path], "mask", "Look.")
    with pytest.raises(InputError, match=r"The mask gone\.png was not found"):
        find_named(named("gone.png", b"this"), [tmp_path], "mask", "Look.")


def test_two_files_are_the_same_or_alike_or_differ_by_so_much(tmp_path):
    one = write(tmp_path / "one.png")
    (tmp_path / "copy.png").write_bytes(one.read_bytes())
    samples = values()
    samples[3, 4, 1] = samples[3, 4, 1] - 9
    assert compare(one, tmp_path / "copy.png").verdict == "same"
    assert compare(one, write(tmp_path / "again.png", compress_level=1)).verdict == "same pixels, other metadata"
    assert (
        compare(one, write(tmp_path / "b.png", samples)).verdict == "differs in 1 of 1440 samples, by at most 9 of 255"
    )
    assert compare(one, write(tmp_path / "c.png", values(20, 30))).verdict == "differs: 24x20x3 and 30x20x3 samples"
    clear = np.dstack([values(), np.full((20, 24), 255, np.uint8)])
    assert not compare(one, write(tmp_path / "d.png", clear)).same_pixels


def test_formats_without_room_are_named_unless_the_record_goes_elsewhere(tmp_path):
    jobs = [Job(Source(tmp_path, tmp_path), tmp_path / name) for name in ("a.png", "b.ppm", "c.PGM", "d.bmp")]
    assert formats_without_room(jobs, Settings("denoise")) == ["BMP", "PPM"]
    assert formats_without_room(jobs, Settings("denoise", sidecar=True)) == []
    assert formats_without_room(jobs, Settings("denoise", encoding=Encoding(strip=True))) == []
