"""What others reach stands beside the benchmark it belongs to, and beside no other."""

from __future__ import annotations

from restore_cli.evaluation.benchmarks import benchmarks
from restore_cli.evaluation.references import CHECKPOINTS, QUOTED, checkpoints_for, missing_checkpoints, quoted_for
from restore_cli.models.catalog import read_catalog


def names(*where):
    return [score.origin for score in quoted_for(*where)]


def test_a_quoted_figure_belongs_to_one_scale_or_condition():
    assert names("sr", "Set5", "", 4) == ["EDSR"]
    assert names("sr", "Set5", "", 2) == ["SwinIR"]
    assert names("sr", "Set14", "", 2) == []
    assert names("jpeg", "classic5", "quality 10, OpenCV's encoder", 1) == ["DnCNN-3", "DRUNet"]
    assert names("jpeg", "classic5", "quality 20, OpenCV's encoder", 1) == []
    assert names("demosaic", "McMaster", "bggr", 1) == []
    assert names("denoise", "CBSD68", "clean pictures", 1) == []


def test_a_quoted_figure_carries_its_condition_and_its_source():
    first, second = quoted_for("denoise", "CBSD68", "sigma 25, neither clipped nor rounded", 1)
    assert (first.psnr, second.psnr) == (31.24, 31.69)
    assert first.condition == "sigma 25, neither clipped nor rounded"
    assert first.protocol == "denoise"
    assert all(each.source for each in QUOTED)


def test_only_checkpoints_that_are_there_are_offered(tmp_path):
    assert missing_checkpoints(tmp_path) == {each.name for each in CHECKPOINTS}
    (tmp_path / "craft_x4.pth").touch()
    assert checkpoints_for("sr", "Set14", "", 4, tmp_path) == {"CRAFT checkpoint": tmp_path / "craft_x4.pth"}
    assert checkpoints_for("sr", "Set14", "", 2, tmp_path) == {}
    assert checkpoints_for("denoise", "Set12", "sigma 25, ...", 1, tmp_path) == {}
    assert missing_checkpoints(tmp_path) == {"DnCNN checkpoint"}


def test_every_figure_and_checkpoint_meets_some_benchmark_of_an_embedded_model(tmp_path):
    for name in ("Set5", "Set14", "CBSD68", "Set12", "LIVE1", "classic5", "McMaster"):
        for scale in (2, 3, 4):
            (tmp_path / name / f"LR_bicubic/X{scale}").mkdir(parents=True)
    for each in CHECKPOINTS:
        (tmp_path / each.file).touch()
    used = set()
    for card in read_catalog().values():
        for benchmark in benchmarks(card, tmp_path) if card.embedded else ():
            where = (benchmark.task, benchmark.dataset, benchmark.condition, card.scale)
            used |= {(*where[:2], score.origin, score.psnr) for score in quoted_for(*where)}
            used |= {(*where[:2], name) for name in checkpoints_for(*where, tmp_path)}
    expected = {(each.task, each.dataset, each.name, each.psnr) for each in QUOTED}
    assert used == expected | {(each.task, dataset, each.name) for each in CHECKPOINTS for dataset in each.datasets}
