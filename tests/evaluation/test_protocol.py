from __future__ import annotations

import json
import math

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from restore_cli.errors import InputError, UsageError
from restore_cli.evaluation.protocol import PROTOCOLS, Scores
from restore_cli.metrics.catalog import METRICS
from restore_cli.metrics.color import luma_full, luma_limited, luma_rounded
from restore_cli.metrics.psnr import psnr
from restore_cli.metrics.ssim import ssim

LUMA = {name for name, protocol in PROTOCOLS.items() if protocol.channels == "y"}
OWN = [name for name, metric in METRICS.items() if metric.prepare is None]


def pair(height=24, width=30, channels=3, noise=0.05):
    rng = np.random.default_rng(0)
    clean = rng.random((height, width, channels)).astype(np.float32)
    return clean + noise * rng.standard_normal(clean.shape).astype(np.float32), clean


def eight_bit(picture):
    return np.floor(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def test_sr_scores_limited_range_luma_inside_a_border_of_the_scale_after_rounding():
    restored, clean = pair()
    expected = peak_signal_noise_ratio(
        *(rgb2ycbcr(eight_bit(each))[4:-4, 4:-4, 0] for each in (clean, restored)), data_range=255
    )
    assert PROTOCOLS["sr"].score(restored, clean, 4).psnr == pytest.approx(expected, abs=1e-6)


def test_derain_scores_luma_without_a_border():
    restored, clean = pair()
    expected = peak_signal_noise_ratio(
        *(rgb2ycbcr(eight_bit(each))[..., 0] for each in (clean, restored)), data_range=255
    )
    assert PROTOCOLS["derain"].score(restored, clean).psnr == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - LUMA - {"denoise"}))
def test_the_others_score_all_channels_rounded_to_8_bits(name):
    restored, clean = pair()
    expected = peak_signal_noise_ratio(eight_bit(clean), eight_bit(restored))
    assert PROTOCOLS[name].score(restored, clean).psnr == pytest.approx(expected, abs=1e-6)


def test_denoising_is_neither_clipped_nor_rounded():
    restored, clean = pair(noise=0.5)
    expected = peak_signal_noise_ratio(clean, restored, data_range=1)
    assert PROTOCOLS["denoise"].score(restored, clean).psnr == pytest.approx(expected, abs=1e-4)


def test_each_task_lists_the_metrics_of_its_papers_psnr_first():
    for name, expected in {"jpeg": ("psnr", "ssim", "psnr_b"), "deblur": ("psnr", "ssim", "mae")}.items():
        assert PROTOCOLS[name].metrics == expected
        assert tuple(PROTOCOLS[name].score(*pair()).values) == expected
    assert all(protocol.metrics[0] == "psnr" for protocol in PROTOCOLS.values())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_description_says_everything_that_changes_the_number(name):
    protocol = PROTOCOLS[name]
    text = protocol.describe(4)
    assert text.startswith(f"{name}: ")
    assert ("Y (BT.601, limited range)" in text) == (protocol.channels == "y")
    assert ("border of 4 px cropped" in text) == (protocol.crop == "scale")
    assert ("nor rounded" in text) != protocol.rounded
    assert "mean over pictures" in text


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_record_is_the_whole_protocol_in_words_and_json(name):
    protocol = PROTOCOLS[name]
    record = json.loads(json.dumps(protocol.as_record(4)))
    assert record["name"] == name
    assert record["description"] == protocol.describe(4)
    assert record["border_px"] == (4 if name == "sr" else 0)
    assert list(record["metrics"]) == list(protocol.metrics)
    assert all(record[key] for key in ("source", "degradation", "channels", "rounding", "averaging"))


@pytest.mark.parametrize(
    ("name", "luma"), [("psnr_y", luma_limited), ("psnr_y_rounded", luma_rounded), ("psnr_y_full", luma_full)]
)
def test_the_lumas_are_those_of_their_names(name, luma):
    restored, clean = pair()
    expected = psnr(*(luma(eight_bit(each) / 255) for each in (restored, clean)))
    assert PROTOCOLS["weather"].score(restored, clean, more=[name]).values[name] == pytest.approx(expected)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_identical_pictures_score_infinity_and_1_and_nothing_is_modified(name):
    _, clean = pair()
    before = clean.copy()
    scores = PROTOCOLS[name].score(clean, clean, 1, more=["psnr_y", "psnr_channels", "mae"])
    assert (scores.psnr, scores.ssim) == (math.inf, pytest.approx(1))
    assert scores.values["psnr_y"] == scores.values["psnr_channels.2"] == math.inf
    assert scores.values["mae"] == 0
    assert np.array_equal(clean, before)


def test_more_metrics_come_after_the_protocols_own_each_once():
    scores = PROTOCOLS["deblur"].score(*pair(), more=["psnr_y", "ssim", "psnr_y", "psnr_channels"])
    assert list(scores.values) == ["psnr", "ssim", "mae", "psnr_y", *(f"psnr_channels.{c}" for c in range(3))]


def test_the_channels_one_by_one_and_the_traps_side_by_side():
    restored, clean = pair()
    restored[:, :, 2] = clean[:, :, 2]
    values = PROTOCOLS["sr"].score(restored, clean, 4, more=OWN).values
    inner = [(eight_bit(each) / 255)[4:-4, 4:-4] for each in (restored, clean)]
    for channel in range(3):
        expected = psnr(*(each[:, :, channel] for each in inner))
        assert values[f"psnr_channels.{channel}"] == pytest.approx(expected)
    assert values["psnr_channels.2"] == math.inf
    assert values["psnr_rgb"] == pytest.approx(psnr(*inner))
    assert values["psnr"] == values["psnr_y"]
    assert values["psnr_y"] - values["psnr_y_full"] == pytest.approx(20 * math.log10(255 / 219), abs=0.01)
    assert values["ssim"] == values["ssim_y"]
    assert values["ssim_rgb"] == pytest.approx(ssim(*inner))


def test_a_metric_of_no_name_is_refused():
    with pytest.raises(UsageError, match="'psnrx'"):
        PROTOCOLS["sr"].score(*pair(), 4, more=["psnrx"])


@pytest.mark.parametrize("name", PROTOCOLS)
def test_grey_scores_against_the_same_grey_stored_as_colour(name):
    restored, clean = pair(channels=1)
    plain = PROTOCOLS[name].score(restored, clean).values
    assert PROTOCOLS[name].score(restored, np.repeat(clean, 3, 2)).values == pytest.approx(plain)
    assert PROTOCOLS[name].score(np.repeat(restored, 3, 2), clean).values == pytest.approx(plain)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_grey_against_colour_is_compared_in_luma_and_an_error_in_rgb(name):
    restored, clean = pair()
    if name in LUMA:
        scores = PROTOCOLS[name].score(restored, clean[:, :, :1], more=["psnr_rgb"])
        in_rgb = PROTOCOLS[name].score(restored, clean[:, :, [0, 0, 0]], more=["psnr_rgb"])
        assert scores.values == pytest.approx(in_rgb.values)
        return
    with pytest.raises(InputError, match="the reference is grey, the restored picture in colour"):
        PROTOCOLS[name].score(restored, clean[:, :, :1])
    with pytest.raises(InputError, match="the reference is in colour, the restored picture grey"):
        PROTOCOLS[name].score(restored[:, :, :1], clean)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_an_error_also_where_clipping_would_hide_them(name, wrong):
    restored, clean = pair()
    broken = restored.copy()
    broken[3, 4, 1] = wrong
    with pytest.raises(InputError, match="restored picture holds 1 values"):
        PROTOCOLS[name].score(broken, clean)
    with pytest.raises(InputError, match="reference holds 1 values"):
        PROTOCOLS[name].score(restored, broken)


@pytest.mark.parametrize("shape", [(24, 30), (24, 30, 4), (1, 24, 30, 3)])
def test_a_picture_of_another_shape_is_an_error(shape):
    with pytest.raises(InputError, match="restored picture has the shape"):
        PROTOCOLS["weather"].score(np.zeros(shape), np.zeros((24, 30, 3)))


def test_a_reference_may_be_larger_by_less_than_the_scale():
    restored, clean = pair(24, 28)
    larger = np.pad(clean, ((0, 3), (0, 3), (0, 0)))
    sr = PROTOCOLS["sr"]
    assert sr.score(restored, larger, 4) == sr.score(restored, clean, 4)
    for height, width in ((28, 28), (23, 28), (24, 27)):
        with pytest.raises(InputError, match=f"the reference is {width}x{height}, the restored picture 28x24"):
            sr.check_sizes((24, 28), (height, width), 4)
    with pytest.raises(InputError):
        PROTOCOLS["weather"].score(restored, larger, 1)


def test_pictures_too_small_for_the_border_or_the_window_of_a_metric():
    restored, clean = pair(10, 40)
    assert list(PROTOCOLS["jpeg"].score(restored, clean, more=["ssim_uniform"]).values) == ["psnr", "ssim_uniform"]
    assert PROTOCOLS["jpeg"].score(restored, clean).ssim is None
    with pytest.raises(InputError, match="inside a border of 4"):
        PROTOCOLS["sr"].score(*pair(8, 40), 4)
    assert PROTOCOLS["sr"].score(*pair(9, 40), 4).psnr > 0


def test_scores_speak_of_psnr_and_ssim():
    assert Scores({"psnr": 30.0, "ssim": 0.9}).psnr == 30
    assert Scores({"psnr": 30.0, "ssim": 0.9}).ssim == 0.9
    assert Scores({"psnr": 30.0}).ssim is None
