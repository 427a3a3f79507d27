from __future__ import annotations

import base64
import dataclasses
import hashlib
import math
from html.parser import HTMLParser

import numpy as np
import pytest

from restore_cli.errors import OutputError
from restore_cli.evaluation.report import write_report
from restore_cli.evaluation.results import Comparison, Failure, PictureScore
from tests.evaluation.evaluations import HOSTILE, embedded, evaluation
from tests.pictures import read, values, write


class Document(HTMLParser):
    """Elements as (tag, attributes), the text of each table row, and all text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.rows, self.words, self.raw = [], [], [], {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside = tag
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self._inside in ("script", "style"):
            self.raw[self._inside] = self.raw.get(self._inside, "") + data
            return
        self.words.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())

    def handle_endtag(self, tag):
        self._inside = ""
        if tag == "table":
            self.rows.append([])

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture
def report(tmp_path):
    def write_and_read(made):
        write_report(made, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write_and_read


def test_a_page_asks_for_nothing_outside_and_names_its_only_script_by_hash(report, tmp_path):
    document = Document(report(evaluation(tmp_path)))
    for attribute in ("src", "href", "srcset", "action", "poster", "data"):
        assert all(value.startswith(("data:", "#")) for value in document.attributes(attribute)), attribute
    assert "url(" not in document.raw["style"] and "@import" not in document.raw["style"]
    assert [tag for tag, _ in document.elements].count("script") == 1
    digest = base64.b64encode(hashlib.sha256(document.raw["script"].encode()).digest()).decode()
    (policy,) = (value for value in document.attributes("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:;") and f"script-src 'sha256-{digest}'" in policy


def test_the_table_holds_means_and_paired_differences_with_their_intervals(report, tmp_path):
    made = evaluation(tmp_path)
    rows = Document(report(made)).rows
    assert ["Model", "PSNR dB", "SSIM", "PSNR difference dB", "Time a picture s", "Pictures"] in rows
    assert ["first", "30.33", "0.9000", "–", "0.500", "3"] in rows
    found = made.difference("second", "first", "")
    interval = f"[{found.low:+.2f}, {found.high:+.2f}]".replace("-", "−")
    assert ["second", "31.00", "0.9100", f"+0.67 {interval}, not clear", "0.500", "3"] in rows


def test_pictures_are_listed_by_what_the_second_model_gains(report, tmp_path):
    document = Document(report(evaluation(tmp_path)))
    listed = [row for row in document.rows if row[:1] and row[0] in "abc" and len(row) == 6]
    assert [row[:4] for row in listed] == [
        ["b", "+3.00", "28.00", "31.00"],
        ["a", "+1.00", "30.00", "31.00"],
        ["c", "−2.00", "33.00", "31.00"],
    ]
    headings = [attributes for tag, attributes in document.elements if tag == "th" and "aria-sort" in attributes]
    assert [(each["aria-sort"], each["data-column"]) for each in headings] == [("descending", "1")]


def test_one_model_alone_is_sorted_by_psnr_and_has_no_differences(report, tmp_path):
    document = Document(report(evaluation(tmp_path, models=("first",))))
    assert [row[0] for row in document.rows if len(row) == 3 and row[0] in [*"abc"]] == ["c", "a", "b"]
    assert "difference" not in document.text and "Highest PSNR" in document.text


def test_the_protocol_is_there_whole_with_notes_and_failures(report, tmp_path):
    made = evaluation(tmp_path)
    text = Document(report(made)).text
    for value in made.protocol.as_record(2).values():
        for part in value.values() if isinstance(value, dict) else [value]:
            assert " ".join(str(part).split()) in text
    assert "2 px" in text and made.notes[0] in text
    assert "d first d.png is cut short. Copy or download it again." in text


def test_pictures_are_embedded_exactly(report, tmp_path):
    made = evaluation(tmp_path)
    pictures = embedded(report(made))
    for row in made.rows:
        for path in (row.degraded, row.restored, row.reference):
            assert any(np.array_equal(each, read(path)) for each in pictures), path


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (1, 16), (3, 16), (4, 8)])
def test_grey_deep_and_transparent_pictures_are_shown_in_8_bits_on_white(report, tmp_path, channels, bits):
    samples = values(40, 48, channels=channels, bits=bits)
    path = write(tmp_path / "odd.png", samples)
    made = evaluation(tmp_path, models=("first",), pictures=("a",))
    made = dataclasses.replace(made, rows=(dataclasses.replace(made.rows[0], restored=path),))
    unit = np.atleast_3d(samples) / (2**bits - 1)
    if channels == 4:
        unit = unit[..., :3] * unit[..., 3:] + 1 - unit[..., 3:]
    expected = np.broadcast_to(np.floor(unit * 255 + 0.5), (40, 48, 3))
    distances = [np.abs(each - expected).max() for each in embedded(report(made)) if each.shape == (40, 48, 3)]
    assert min(distances) <= 1


def test_a_reference_larger_than_the_result_is_cut_off_as_for_scoring(report, tmp_path):
    made = evaluation(tmp_path, models=("first",), pictures=("a",))
    larger = values(41, 49)
    path = write(tmp_path / "larger.png", larger)
    made = dataclasses.replace(made, rows=(dataclasses.replace(made.rows[0], reference=path),))
    pictures = embedded(report(made))
    assert any(np.array_equal(each, larger[:40, :48]) for each in pictures)
    assert not any(each.shape == larger.shape for each in pictures)


def test_crops_are_exact_parts_of_all_pictures_in_one_place(report, tmp_path):
    made = evaluation(tmp_path, pictures=("a",))
    (row, other) = made.rows
    document = Document(report(made))
    (where,) = (word for word in document.words if "pixels at" in word)
    size, place = where.split(" pixels at ")
    (width, height), (x, y) = (int(each) for each in size.split("×")), (int(each) for each in place.split(","))
    cut = [attributes["src"] for tag, attributes in document.elements if attributes.get("class") == "cut"]
    degraded, *crops = embedded(" ".join(cut))
    for crop, path in zip(crops, (row.restored, other.restored, row.reference), strict=True):
        assert np.array_equal(crop, read(path)[y : y + height, x : x + width])
    assert np.array_equal(degraded, read(row.degraded).repeat(2, 0).repeat(2, 1)[y : y + height, x : x + width])


def test_published_figures_stand_beside_ours_with_what_explains_them(report, tmp_path):
    found = (
        Comparison("first", "", "Set5", 30.5, 30.33, "Y in full range"),
        Comparison("second", "", "Set5", 31.0, 31.0),
    )
    rows = Document(report(evaluation(tmp_path, comparisons=found))).rows
    assert ["first", "Set5", "30.50", "30.33", "−0.17", "Y in full range"] in rows
    assert ["second", "Set5", "31.00", "31.00", "+0.00", "–"] in rows
    assert ["first", "Set5"] not in [row[:2] for row in Document(report(evaluation(tmp_path))).rows]


def test_models_that_are_files_go_by_their_names_as_far_as_these_differ(report, tmp_path):
    def headline(*models):
        document = Document(report(evaluation(tmp_path, models=models)))
        return document.text.split("minus that of")[0], document.text

    assert "net.pth against unet" in headline("/long/way/net.pth", "unet")[0]
    assert "one/net.pth against two/net.pth" in headline("/long/one/net.pth", "/long/two/net.pth")[0]
    assert "/long/net.pth against net.pth" in headline("/long/net.pth", "net.pth")[0]
    assert "hf:owner/repo/net.pth against" in headline("hf:owner/repo/net.pth", "unet")[0]
    assert "/long/way" not in headline("/long/way/net.pth", "unet")[1]


def test_a_failure_of_all_models_says_so(report, tmp_path):
    document = Document(report(evaluation(tmp_path, failures=(Failure("d", "", "", "d.png is empty."),))))
    assert ["d", "all", "d.png is empty."] in document.rows


def test_names_cannot_become_markup(report, tmp_path):
    made = evaluation(
        tmp_path, models=("first", HOSTILE), conditions=(HOSTILE, "x"), pictures=(HOSTILE, "b"), notes=(HOSTILE,)
    )
    harmless = evaluation(tmp_path, conditions=("one", "x"), pictures=("a", "b"))
    page = report(made)
    document = Document(page)
    assert [tag for tag, _ in document.elements] == [tag for tag, _ in Document(report(harmless)).elements]
    assert not [name for _, attributes in document.elements for name in attributes if name.startswith("on")]
    assert HOSTILE in document.text and HOSTILE in " ".join(document.attributes("alt"))
    assert HOSTILE not in page


def test_a_name_that_is_no_unicode_does_not_stop_the_report(report, tmp_path):
    assert "bad?name" in report(evaluation(tmp_path, pictures=("bad\udcffname",)))


def test_without_files_there_are_tables_and_a_sentence(report, tmp_path):
    made = evaluation(tmp_path)
    bare = tuple(PictureScore(row.picture, row.model, row.condition, row.scores) for row in made.rows)
    page = report(dataclasses.replace(made, rows=bare))
    document = Document(page)
    assert ["second", "31.00", "0.9100"] in [row[:3] for row in document.rows]
    assert "No picture was kept." in document.text and not embedded(page)
    assert "Time a picture" not in document.text


def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_shown(report, tmp_path):
    made = evaluation(tmp_path)
    made.rows[0].restored.write_bytes(b"no picture")
    made.rows[2].reference.unlink()
    page = report(made)
    assert "0_0_0.png is not a picture" in page and "There is no file" in page
    assert len([each for each in Document(page).attributes("class") if each.startswith("viewer card")]) == 3


def test_equal_pictures_have_an_infinite_psnr_and_no_difference(report, tmp_path):
    made = evaluation(tmp_path)
    rows = tuple(
        dataclasses.replace(row, scores={"psnr": math.inf}) if row.picture == "a" and row.model == "first" else row
        for row in made.rows
    )
    document = Document(report(dataclasses.replace(made, rows=rows)))
    assert ["a", "–", "∞", "31.00", "–", "0.9100"] in document.rows
    assert document.attributes("data-value").count("Infinity") == 1
    assert ["first", "∞"] in [row[:2] for row in document.rows]


def test_conditions_stand_apart_in_tables_viewers_and_a_plot_over_their_level(report, tmp_path):
    conditions = ("sigma_255 = 15", "sigma_255 = 25", "sigma_255 = 50")
    document = Document(report(evaluation(tmp_path, conditions=conditions)))
    for condition in conditions:
        assert [condition] in document.rows
    assert document.text.count("sigma_255 = 25") > 3 and "PSNR (dB)" in document.text
    groups = [attributes["label"] for tag, attributes in document.elements if tag == "optgroup"]
    assert groups == list(conditions) * 2 * 3


def test_an_evaluation_in_which_everything_failed_is_a_page_too(report, tmp_path):
    document = Document(report(dataclasses.replace(evaluation(tmp_path), rows=())))
    assert "d.png is cut short." in document.text and "0 pictures" in document.text


def test_a_report_replaces_an_older_one_whole_or_says_why_it_cannot(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    write_report(evaluation(tmp_path), target)
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(OutputError, match=r"report\.html"):
        write_report(evaluation(tmp_path), target / "below.html")
    assert not list(tmp_path.glob(".restore-*"))
