"""Our pages in a real browser: skipped where no Chromium is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore_cli.evaluation.report import write_report
from restore_cli.evaluation.shown import Box, Panel
from restore_cli.evaluation.slider import draw_slider
from tests.evaluation.browser import chromium
from tests.evaluation.evaluations import HOSTILE, evaluation
from tests.pictures import write

RED, GREEN = (220, 30, 30), (30, 160, 60)
STAGE = "document.querySelector('.stage')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser):
    """The browser, which must have nothing to complain of and have asked for nothing but files and data."""
    browser.complaints.clear()
    browser.requests.clear()
    browser.media()
    yield browser
    assert browser.complaints == []
    assert {request.split(":")[0] for request in browser.requests} == {"file", "data"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report whose inputs are red, results of the first model green, other files as they come."""
    folder = tmp_path_factory.mktemp("report")
    made = evaluation(folder)
    for row in made.rows:
        write(row.degraded, np.full((20, 24, 3), RED, np.uint8))
        if row.model == "second":
            write(row.restored, np.full((40, 48, 3), GREEN, np.uint8))
    write_report(made, folder / "report.html")
    return folder / "report.html"


def box(page, selector=".stage"):
    """Left, top, width and height of an element, scrolled into the window."""
    return page.run(
        f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{block: 'center'}});"
        " const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height] })()"
    )


def place(page, x, y):
    """A point of the first stage, given in shares of it, in the window."""
    left, top, width, height = box(page)
    return left + x * width, top + y * height


def colour(page, tmp_path, x, y):
    """What is seen there."""
    across, down = place(page, x, y)
    shot = np.asarray(Image.open(page.screenshot(tmp_path / "shot.png")).convert("RGB"))
    return tuple(int(value) for value in shot[round(down), round(across)])


def split(page):
    return float(page.run("document.querySelector('.split').value"))


def percent(page):
    return float(page.run("document.querySelector('.viewer output').value.split(' ')[0]"))


def test_pictures_load_and_a_viewer_shows_one_left_and_one_right_of_its_divider(page, report, tmp_path):
    page.open(report)
    assert page.run("document.images.length") > 20
    assert page.run("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert colour(page, tmp_path, 0.3, 0.8) == RED and colour(page, tmp_path, 0.7, 0.8) == GREEN


def test_the_divider_follows_the_mouse_and_the_keys(page, report, tmp_path):
    page.open(report)
    page.drag(place(page, 0.5, 0.5), place(page, 0.8, 0.4))
    assert split(page) == pytest.approx(80, abs=1)
    assert colour(page, tmp_path, 0.7, 0.8) == RED and colour(page, tmp_path, 0.9, 0.8) == GREEN
    for _ in range(10):
        page.press("ArrowLeft")
    assert split(page) == pytest.approx(75, abs=1)
    page.press("Home")
    assert split(page) == 0 and colour(page, tmp_path, 0.1, 0.8) == GREEN
    assert page.run("document.querySelector('.split').getAttribute('aria-valuetext')") == "0 % input, the rest second"


def test_a_finger_moves_the_divider_and_two_zoom(page, report):
    page.open(report, 390, 844, phone=True)
    start, end = place(page, 0.5, 0.5), place(page, 0.2, 0.5)
    page.touch("touchStart", start)
    page.touch("touchMove", end)
    page.touch("touchEnd")
    assert split(page) == pytest.approx(20, abs=1)
    before = percent(page)
    page.touch("touchStart", place(page, 0.45, 0.5), place(page, 0.55, 0.5))
    page.touch("touchMove", place(page, 0.35, 0.5), place(page, 0.65, 0.5))
    page.touch("touchEnd")
    assert percent(page) == pytest.approx(3 * before, rel=0.05)


def test_buttons_and_keys_zoom_and_dragging_then_moves_the_picture(page, report):
    page.open(report)
    fitted = percent(page)
    step = "document.querySelector('[data-step={}]').click()"
    page.run(step.format("pixels"))
    assert percent(page) == 100
    page.run(step.format("fit"))
    assert percent(page) == fitted
    page.run(step.format("in"))
    assert percent(page) == pytest.approx(1.5 * fitted, rel=0.01)
    where = "getComputedStyle(document.querySelector('.stage')).getPropertyValue('--x')"
    before = float(page.run(where).removesuffix("px"))
    page.drag(place(page, 0.2, 0.5), place(page, 0.3, 0.5))
    moved = float(page.run(where).removesuffix("px")) - before
    assert split(page) == 50 and moved == pytest.approx(0.1 * box(page)[2], abs=2)
    page.press("0", "0")
    assert percent(page) == fitted


def test_the_wheel_scrolls_the_page_until_the_picture_has_been_clicked_on(page, report):
    page.open(report, height=600)
    before = percent(page)
    across, down = place(page, 0.4, 0.5)
    page.run("window.before = scrollY")
    page.mouse("mouseWheel", across, down, deltaX=0, deltaY=-200)
    look = "const look = () => scrollY == before ? requestAnimationFrame(look) : done(); look()"
    page.run(f"new Promise((done) => {{ {look} }})")
    assert percent(page) == before
    page.open(report, height=600)
    page.drag(place(page, 0.4, 0.5), place(page, 0.4, 0.5))
    top = page.run("scrollY")
    page.mouse("mouseWheel", *place(page, 0.4, 0.5), deltaX=0, deltaY=-200)
    page.run("new Promise(requestAnimationFrame)")
    assert percent(page) > 1.3 * before and page.run("scrollY") == top


def test_any_two_pictures_can_be_chosen(page, report, tmp_path):
    page.open(report)
    choose = (
        "(() => {{ const s = document.querySelector('[data-side={}]');"
        " s.selectedIndex = [...s.options].findIndex((o) => o.text == '{}');"
        " s.dispatchEvent(new Event('change')); return document.querySelector('.tag-{}').textContent }})()"
    )
    assert page.run(choose.format("right", "input", "right")) == "input"
    assert page.run(choose.format("left", "second", "left")) == "second31.00 dB, SSIM 0.9100"
    assert colour(page, tmp_path, 0.3, 0.8) == GREEN and colour(page, tmp_path, 0.7, 0.8) == RED
    assert page.run(choose.format("left", "input", "left")) == "input"  # one and the same on both sides
    assert colour(page, tmp_path, 0.3, 0.8) == RED and colour(page, tmp_path, 0.7, 0.8) == RED


def test_a_click_on_a_heading_sorts_by_it_and_a_second_one_backwards(page, report):
    page.open(report)
    click = "document.querySelectorAll('table.sortable .sort')[{}].click()"
    names = "[...document.querySelectorAll('table.sortable tbody th')].map((cell) => cell.textContent.trim()).join('')"
    assert page.run(names) == "bac"
    page.run(click.format(0))
    assert page.run(names) == "abc"
    page.run(click.format(0))
    assert page.run(names) == "cba"
    page.run(click.format(2))  # PSNR of the first model: 30, 28, 33
    assert page.run(names) == "cab"
    page.run(click.format(2))
    assert page.run(names) == "bac"
    assert page.run("document.querySelectorAll('[aria-sort]').length") == 1


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_sticks_out_of_the_window(page, report, width):
    page.open(report, width, 800, phone=width < 500)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert box(page)[2] >= min(250, width / 2)


def test_dark_rooms_get_a_dark_page(page, report):
    page.open(report)
    luminance = "getComputedStyle(document.body).{}.match(/\\d+/g).slice(0, 3).reduce((sum, each) => sum + +each, 0)"
    seen = []
    for dark in (False, True):
        page.media(dark=dark)
        seen.append((page.run(luminance.format("backgroundColor")), page.run(luminance.format("color"))))
    (light_paper, light_ink), (dark_paper, dark_ink) = seen
    assert light_paper > 700 > 150 > light_ink and dark_paper < 100 < 600 < dark_ink


def test_on_paper_both_pictures_stand_side_by_side_without_buttons(page, report, tmp_path):
    page.open(report)
    page.media("print")
    left, right = box(page, ".stage .on-left"), box(page, ".stage .on-right")
    assert left[0] + left[2] <= right[0] + 1 and left[1] == pytest.approx(right[1], abs=1)
    assert page.run("getComputedStyle(document.querySelector('.tools')).display") == "none"
    assert page.print(tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_hostile_names_are_text_and_nothing_more(page, tmp_path):
    made = evaluation(
        tmp_path, models=("first", HOSTILE), conditions=("s = 1", HOSTILE), pictures=(HOSTILE, "b"), notes=(HOSTILE,)
    )
    write_report(made, tmp_path / "report.html")
    page.open(tmp_path / "report.html")
    assert page.run("window.hacked === undefined && document.querySelectorAll('script').length == 1")
    assert HOSTILE in page.run("document.body.innerText")


def test_a_comparison_is_such_a_page_too(page, tmp_path):
    panels = [
        Panel(name, np.broadcast_to(np.float32(value) / 255, (60, 80, 3)))
        for name, value in (("red", RED), ("green", GREEN), ("black", (0, 0, 0)))
    ]
    target = Path(tmp_path / "compare.html")
    target.write_bytes(draw_slider(panels, [Box(10, 10, 20, 20)]))
    page.open(target)
    page.drag(place(page, 0.5, 0.5), place(page, 0.25, 0.5))
    assert colour(page, tmp_path, 0.1, 0.8) == RED and colour(page, tmp_path, 0.3, 0.8) == GREEN
    assert page.run("document.images.length") == 3 + 1 + 3 + 2
