"""What first downloads were, remembered."""

from __future__ import annotations

import pytest

from restore_cli.errors import DownloadError, RecipeError
from restore_cli.models.home import home_dir
from restore_cli.models.lock import Pin, lock_path, pin, read_pins

FIRST, OTHER = Pin("a" * 64, 3, "hf:owner/repo/net.pth"), Pin("b" * 64, 3, "https://example.org/net.pth")


def test_pins_are_kept_beside_each_other_in_a_file_one_can_read(catalogue):
    assert read_pins() == {}
    pin("one", FIRST), pin("two", OTHER), pin("one", FIRST)
    assert read_pins() == {"one": FIRST, "two": OTHER}
    text = lock_path().read_text()
    assert text.startswith("# Written by restore") and "[one]\n" in text
    assert not [path for path in home_dir().iterdir() if path.name.startswith(".restore-")]


def test_another_content_is_refused_and_the_way_out_named(catalogue):
    pin("one", FIRST)
    with pytest.raises(DownloadError, match="b{64}, but a{64} came from hf:owner/repo/net.pth") as error:
        pin("one", OTHER)
    assert str(lock_path()) in error.value.hint
    assert read_pins() == {"one": FIRST}


def test_the_same_content_from_another_place_is_the_same(catalogue):
    pin("one", FIRST)
    pin("one", Pin(FIRST.sha256, 3, "elsewhere"))
    assert read_pins() == {"one": FIRST}


def test_processes_that_pin_at_once_lose_nothing(catalogue):
    catalogue.card("net")
    code = "from restore_cli.models.lock import *\nfor i in range(20): pin(f'{NAME}-{i}', Pin('a'*64, 1, 'x'))"
    crowd = [catalogue.python(code.replace("NAME", repr(name).replace("'", '"'))) for name in "ab"]
    assert [process.communicate(timeout=60) for process in crowd] == [("", "")] * 2
    assert len(read_pins()) == 40


@pytest.mark.parametrize("text", ["not toml", '[one]\nsha256 = "a"\n', "[one]\nsha256 = 3\nbytes = 1\naddress = 'x'\n"])
def test_a_spoilt_list_is_an_error_that_names_it(catalogue, text):
    home_dir().mkdir(parents=True)
    lock_path().write_text(text)
    with pytest.raises(RecipeError) as error:
        read_pins()
    assert str(lock_path()) in error.value.message


def test_a_home_that_is_no_folder_is_named(catalogue, monkeypatch):
    (catalogue.root / "file").touch()
    monkeypatch.setenv("RESTORE_HOME", str(catalogue.root / "file"))
    with pytest.raises(DownloadError, match="could not be remembered.*RESTORE_HOME"):
        pin("one", FIRST)
