"""Names nobody should give a file, and links that lead nowhere or round in circles."""

from __future__ import annotations

import json
import os
from pathlib import Path

from restore_cli.batch.manifest import MANIFEST_NAME
from tests.pictures import values, write
from tests.torture.batches import check_results, take_through
from tests.torture.counts import Counts

__all__ = ["NAMES", "names"]

NAMES = (
    "two\nlines.png",
    "bell\a tab\t return\r.png",
    "colour\x1b[31m.png",
    "-rf.png",
    "--help.png",
    "-.png",
    "'single'.png",
    '"double".png',
    "`back`.png",
    "$(HOME) ${HOME} %s %d {} {0}.png",
    "semi;colon & and | or > more < less.png",
    "back\\slash.png",
    "star*.png",
    "a[1].png",
    "what?.png",
    "[bold red]markup[red] :smile:.png",
    " leading and trailing .png",
    "dots...png",
    "no suffix but png.png.jpg.png",
    "späße 你好 🙂.png",
    "e\u0301 and \u00e9.png",
    "right\u202eto left.png",
    "zero\u200bwidth.png",
    os.fsdecode(b"latin\xe9.png"),
    os.fsdecode(b"\xff\xfe\x80.png"),
    "con.png",
    "out.png",
    "x" * 251 + ".png",
    "UPPER.PNG",
)
FOLDERS = ("deep", "two\nlines", "-o", os.fsdecode(b"folder\xe9"), "a[1]", "x" * 255, "in")


def names(folder: Path, model: Path, full: bool) -> Counts:
    """A tree of such names and links, as a folder, file by file and by patterns; then resumed, logged and so on."""
    tree = folder / "in"
    for index, name in enumerate(NAMES):
        write(tree / "plain.png", values(16, 18, seed=index)).rename(tree / name)
    for index, name in enumerate(FOLDERS):
        write(tree / name / "a.png", values(17, 16, seed=index))
    links(tree)
    counts = Counts()
    asked = [("-r", [tree]), ("", [*(f"in/{name}" for name in NAMES)])]
    if full:
        asked += [
            ("-r", ["in/"]),
            ("", ["in/*.png"]),
            ("", ["in/**/*.png"]),
            ("-r", [f"in/{each}" for each in FOLDERS]),
        ]
    for number, (recursive, given) in enumerate(asked):
        options = [option for option in (recursive, "-n", model, "-o", f"out{number}") if option]
        for again in ((), ("--resume",)):
            part, records = take_through(folder, given, *options, *again)
            check_results(part, records, folder)
            for record in records:
                if bool(again) != (record["status"] == "skipped") and record["status"] != "failed":
                    part.fault("wrong", f"{record['input']!r} was {record['status']} with {again}")
            counts.add(part)
        written = [path for path in (folder / f"out{number}").rglob("*") if path.is_file()]
        expected = {record["output"] for record in records if record["status"] != "failed"}
        for path in written:
            if path.name != MANIFEST_NAME and str(path.relative_to(folder)) not in expected:
                counts.fault("wrong", f"{path!r} is nobody's result")
    counts.add(beside(folder, model))
    return counts


def links(tree: Path) -> None:
    """Into circles, into nothing, and to pictures."""
    (tree / "loop").symlink_to("..")
    (tree / "deep/loop").symlink_to("../deep")
    (tree / "self.png").symlink_to("self.png")
    (tree / "first.png").symlink_to("second.png")
    (tree / "second.png").symlink_to("first.png")
    (tree / "nowhere.png").symlink_to("nothing.png")
    (tree / "link.png").symlink_to("deep/a.png")
    (tree / "folder.png").symlink_to("deep")
    os.mkfifo(tree / "pipe.png")


def beside(folder: Path, model: Path) -> Counts:
    """Results beside their inputs, with a sidecar each and a log, in a folder that names itself."""
    place = folder / "beside"
    for index, name in enumerate(NAMES[:8]):
        write(place / "plain.png", values(16, 18, seed=index)).rename(place / name)
    (place / "here").symlink_to(".")
    counts, records = take_through(
        place, ["."], "-r", "-n", model, "--sidecar", "--log", "log.jsonl", "--suffix", "-\n'x'"
    )
    logged = [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
    said = [line["output"] for line in logged if line["event"] == "file"]
    if said != [record["output"] for record in records]:
        counts.fault("lost", "the log does not speak of every file")
    for record in records:
        if not Path(place, record["output"] + ".restore.json").is_file():
            counts.fault("lost", f"no sidecar of {record['output']!r}")
    return counts
