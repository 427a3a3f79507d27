"""A record goes into a picture or beside it, and comes back as it was."""

import dataclasses
import json

import pytest

from restore_cli.errors import InputError, OutputError
from restore_cli.io.extras import missing_package
from restore_cli.io.formats import WRITABLE_FORMATS
from restore_cli.io.provenance import (
    NamedFile,
    Provenance,
    embed,
    embedded,
    find,
    look_up,
    now,
    room_for,
    sidecar_path,
    write_sidecar,
)
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.pictures import write

ONE = Provenance(
    version="0.1.0",
    task="denoise",
    models=(NamedFile("unet-denoise-color", "ab" * 32),),
    input=NamedFile('we"ird\n\udcff&.png', "cd" * 32),
    device="cpu",
    precision="fp32",
    settings={"tile_px": None, "strength": 0.1, "deep": {"list": [1, "<&>"]}},
    created="2026-11-21T08:30:00Z",
    companions={"mask": NamedFile("mask.png", "ef" * 32)},
    environment={"torch": "2.13"},
    frame=0,
    notes=("Not enough memory; starting over with tiles of 256 pixels.",),
)
TWO = dataclasses.replace(ONE, task="sr", companions={}, environment={}, frame=None, notes=())


def test_a_record_becomes_json_and_the_same_again():
    assert Provenance.from_json(ONE.to_json()) == ONE
    assert ONE.to_json().isascii()


def test_a_later_version_may_say_more():
    assert Provenance.from_json(json.dumps({**json.loads(ONE.to_json()), "colour": "green"})) == ONE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": 3}', ONE.to_json().replace('"cpu"', "7")])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(ValueError):
        Provenance.from_json(text)


def test_a_packet_tells_of_every_step_in_order():
    assert embedded(embed(embed(None, ONE), TWO)) == (ONE, TWO)
    assert embedded(None) == ()


def test_steps_that_make_no_sense_are_left_out():
    packet = embed(embed(None, ONE), TWO).replace(b"denoise", b'denoise" restore:input="no json', 1)
    assert embedded(packet.replace(b"restore:input='", b"restore:was='", 1)) == (TWO,)


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.tif", "out.webp"])
def test_a_file_carries_it_and_its_pixels_stay(tmp_path, name):
    image = read_image(write(tmp_path / "in.png"))
    write_image(dataclasses.replace(image, xmp=embed(image.xmp, ONE)), tmp_path / name)
    write_image(image, tmp_path / f"without-{name}")
    assert find(tmp_path / name) == ONE
    assert find(tmp_path / f"without-{name}") is None
    restored, without = read_image(tmp_path / name), read_image(tmp_path / f"without-{name}")
    assert (restored.pixels == without.pixels).all()


def test_a_sidecar_speaks_where_the_file_cannot_and_only_for_the_file_it_was_written_for(tmp_path):
    picture = write(tmp_path / "out.ppm")
    assert find(picture) is None
    write_sidecar(picture, ONE, TWO)
    record = look_up(picture)
    assert record.steps == (ONE, TWO)
    assert (record.sidecar, record.matches) == (sidecar_path(picture), True)
    picture.write_bytes(picture.read_bytes()[:-1] + b"x")
    assert not look_up(picture).matches
    assert find(picture) == TWO


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"steps": []}', b'{"steps": [{}], "file": {"sha256": ""}}', b"\xff", b"[" * 99_999],
)
def test_a_sidecar_that_is_none_is_refused_by_name(tmp_path, content):
    picture = write(tmp_path / "out.png")
    sidecar_path(picture).write_bytes(content)
    with pytest.raises(InputError, match=r"out\.png\.restore\.json is no record"):
        look_up(picture)


def test_the_time_can_be_held_for_builds_that_are_to_be_repeated(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert now() == "1970-01-02T00:00:00Z"
    for stated in ("", "yesterday", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", stated)
        assert "2026" < now() < "3"


@pytest.mark.parametrize("name", sorted(name for name in WRITABLE_FORMATS if not missing_package(name)))
def test_a_format_has_room_exactly_where_what_is_written_can_be_read_again(tmp_path, name):
    image = read_image(write(tmp_path / "in.png"))
    target = tmp_path / f"out{WRITABLE_FORMATS[name].suffix}"
    write_image(dataclasses.replace(image, xmp=embed(None, ONE)), target)
    assert find(target) == (None if room_for(name) == 0 else ONE)


def test_the_room_in_a_jpeg_is_used_to_the_last_byte(tmp_path):
    image = read_image(write(tmp_path / "in.png"))
    packet = embed(None, ONE)
    full = packet + b" " * (room_for("JPEG") - len(packet))
    write_image(dataclasses.replace(image, xmp=full), tmp_path / "full.jpg")
    assert find(tmp_path / "full.jpg") == ONE
    with pytest.raises(OutputError):
        write_image(dataclasses.replace(image, xmp=full + b" "), tmp_path / "over.jpg")
