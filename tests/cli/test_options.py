"""What each option does to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pictures import read, values, write


@pytest.fixture
def restored(restore, tmp_path):
    """The result of a denoising command over `in.png`."""

    def run(*arguments, task="denoise", name="in.png"):
        result = restore(task, name, "-o", "out.png", "--overwrite", *arguments)
        assert result.exit_code == 0, result.stderr
        return read(tmp_path / "out.png")

    return run


def test_strength_runs_from_the_input_bit_for_bit_to_the_restored(restored, weights, tmp_path):
    samples = values(bits=16)
    write(tmp_path / "in.png", samples)
    full = restored("-n", weights["x1"]).astype(int)
    assert np.array_equal(restored("-n", weights["x1"], "--strength", "0"), samples)
    assert np.array_equal(restored("-n", weights["x1"], "--strength", "1"), full)
    half = restored("-n", weights["x1"], "--strength", "0.5").astype(int)
    inside = (full > 0) & (full < 65535)  # the restored was clamped in the file, not before the blend
    assert np.abs(half - (samples + full) / 2)[inside].max() <= 1


def test_strength_0_of_sr_is_the_bicubic_enlargement(restored, weights, tmp_path):
    from restore_cli.degradations.resize import resize_bicubic

    write(tmp_path / "in.png")
    enlarged = resize_bicubic(values().astype(np.float32) / 255, (40, 48))
    expected = np.floor(np.clip(enlarged, 0, 1) * 255 + 0.5).astype(int)
    difference = restored("-n", weights["x2"], "--strength", "0", task="sr").astype(int) - expected
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("kind", ["grey", "colour", "one bit", "alpha"])
def test_a_mask_restores_only_there_and_fades(restored, weights, tmp_path, kind):
    samples = values(60, 60)
    write(tmp_path / "in.png", samples)
    left = np.zeros((60, 60), np.uint8)
    left[:, :20] = 255
    mask = {
        "grey": left,
        "colour": np.dstack([left] * 3),
        "one bit": left > 0,
        "alpha": np.dstack([np.full_like(left, 255), left]),
    }[kind]
    write(tmp_path / "mask.png", mask)
    full = restored("-n", weights["x1"]).astype(int)
    masked = restored("-n", weights["x1"], "--mask", "mask.png").astype(int)
    assert np.array_equal(masked[:, 40:], samples[:, 40:])
    assert np.abs(masked[:, :4] - full[:, :4]).max() <= 1
    share = np.abs(masked - samples).sum(axis=(0, 2)) / np.maximum(np.abs(full - samples).sum(axis=(0, 2)), 1)
    assert 0.3 < share[20] < 0.7 and share[12] > share[20] > share[28]


def test_a_mask_has_the_size_of_the_input_even_where_the_result_is_larger(restore, refused, weights, tmp_path):
    write(tmp_path / "in.png")
    write(tmp_path / "mask.png", values(channels=1))
    assert restore("sr", "in.png", "-n", weights["x2"], "--mask", "mask.png").exit_code == 0
    write(tmp_path / "mask.png", values(40, 48, channels=1))
    line = refused("sr", "in.png", "-n", weights["x2"], "--mask", "mask.png", "--overwrite")
    assert "mask.png: the mask is 48x40, the picture 24x20" in line


def test_tta_is_the_mean_over_eight_turned_pictures(restored, weights, tmp_path):
    samples = values(17, 24, bits=16)
    one = []
    for turns in range(4):
        for flipped in (False, True):
            turned = np.rot90(samples[:, ::-1] if flipped else samples, turns)
            write(tmp_path / "in.png", np.ascontiguousarray(turned))
            back = np.rot90(restored("-n", weights["x1"]), -turns)
            one.append(back[:, ::-1] if flipped else back)
    write(tmp_path / "in.png", samples)
    together = restored("-n", weights["x1"], "--tta").astype(float)
    inside = np.all([(each > 0) & (each < 65535) for each in one], axis=0)
    assert np.abs(together - np.mean(one, axis=0))[inside].max() <= 1
    assert not np.array_equal(together, one[0])


def test_wne_makes_any_network_indifferent_to_contrast_and_brightness_and_follows_the_file(restored, weights, tmp_path):
    dim = (values(bits=16) // 4 + 9000).astype(np.uint16)
    darker = (dim // 2).astype(np.uint16)

    def shift(*options):
        write(tmp_path / "in.png", dim)
        first = restored(*options).astype(float)
        write(tmp_path / "in.png", darker)
        return np.abs(restored(*options) - first / 2).max()

    assert shift("-n", weights["x1"], "--wne") < 3
    assert shift("-n", weights["wne"]) < 3
    assert shift("-n", weights["wne"], "--no-wne") > 30
    assert shift("-n", weights["x1"]) > 30


@pytest.mark.parametrize("network", ["x1", "unet"])
def test_tiles_of_any_size_give_the_same_pixels(restored, weights, tmp_path, network):
    write(tmp_path / "in.png", values(64, 50, bits=16))
    whole = restored("-n", weights[network], "--tile", "off").astype(int)
    for tile in ("auto", "24", "1"):
        tiled = restored("-n", weights[network], "--tile", tile)
        assert np.abs(tiled - whole).max() <= 1, tile


def test_bf16_is_close_to_fp32(restored, weights, tmp_path):
    write(tmp_path / "in.png")
    exact = restored("-n", weights["x1"], "--precision", "fp32").astype(int)
    difference = restored("-n", weights["x1"], "--precision", "bf16") - exact
    assert 0 < np.abs(difference).max() <= 4


def test_a_device_that_is_not_there_is_refused_before_the_model_is_read(refused, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    write(tmp_path / "in.png")
    line = refused("denoise", "in.png", "--device", "cuda", "-n", "hf:nobody/nothing/net.pth")
    assert "--device cuda: not on this machine. Here there is: cpu" in line


def test_a_level_the_network_finds_by_itself_is_mentioned_once(restore, weights, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / name, values(channels=4))
    result = restore("denoise", "a.png", "b.png", "c.png", "-n", weights["x1"], "--sigma", "25")
    assert result.stderr.count("not used") == 1


# --- kinds of pictures beside kinds of networks ---

RAMP = np.tile(np.linspace(0, 255, 24).astype(np.uint8), (20, 1))


@pytest.mark.parametrize("network", ["x1", "grey", "unet"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", ["none", "opaque", "half", "varying"])
def test_every_kind_of_picture_through_every_kind_of_network_stays_what_it_was(
    restored, weights, tmp_path, network, channels, alpha
):
    opacity = {"none": None, "opaque": RAMP * 0 + 255, "half": RAMP * 0 + 100, "varying": RAMP}[alpha]
    samples = values(channels=channels)
    write(tmp_path / "in.png", samples if opacity is None else np.dstack([samples, opacity]))
    result = restored("-n", weights[network])
    stored = cv_channels(tmp_path / "out.png")
    assert stored == channels + (opacity is not None)
    colour = np.atleast_3d(result)[..., : 3 if channels == 3 else 1]
    if opacity is not None:
        assert np.array_equal(np.atleast_3d(result)[..., -1], opacity)
        seen = opacity > 128
        plain = values(channels=channels)
        difference = np.atleast_3d(colour.astype(int)) - np.atleast_3d(plain)
        assert np.abs(difference[seen]).max(initial=0) < 120  # in the same world as the input
    assert not np.array_equal(colour, np.atleast_3d(samples))


def cv_channels(path):
    """1 grey, 2 grey and alpha, 3, 4: from the PNG's own header, as readers expand the second."""
    return {0: 1, 4: 2, 2: 3, 6: 4}[path.read_bytes()[25]]


def test_a_constant_alpha_changes_nothing_in_the_colours(restored, weights, tmp_path):
    write(tmp_path / "in.png")
    plain = restored("-n", weights["x1"])
    write(tmp_path / "in.png", np.dstack([values(), RAMP * 0 + 40]))
    assert np.array_equal(restored("-n", weights["x1"])[..., :3], plain)


def test_grey_through_a_colour_network_is_the_mean_of_its_channels(restored, weights, tmp_path):
    grey = values(channels=1, bits=16)
    write(tmp_path / "in.png", np.dstack([grey] * 3))
    colour = restored("-n", weights["x1"]).astype(float)
    write(tmp_path / "in.png", grey)
    inside = ((colour > 0) & (colour < 65535)).all(axis=2)
    assert np.abs(restored("-n", weights["x1"]) - colour.mean(axis=2))[inside].max() <= 1


def test_colour_through_a_grey_network_goes_channel_by_channel(restored, weights, tmp_path):
    write(tmp_path / "in.png")
    colour = restored("-n", weights["grey"])
    for channel in range(3):
        write(tmp_path / "in.png", np.ascontiguousarray(values()[..., channel]))
        assert np.array_equal(restored("-n", weights["grey"]), colour[..., channel])


def test_a_palette_with_a_transparent_colour_keeps_its_transparency(restored, weights, tmp_path):
    from PIL import Image

    palette = Image.fromarray(values()).quantize(8)
    palette.save(tmp_path / "in.png", transparency=2)
    result = restored("-n", weights["x1"])
    assert np.array_equal(result[..., 3] == 0, np.asarray(palette) == 2)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_stay_16_and_are_used(restored, weights, tmp_path, channels):
    write(tmp_path / "in.png", values(channels=channels, bits=16))
    result = restored("-n", weights["x1"])
    assert result.dtype == np.uint16 and len(np.unique(result % 257)) > 100


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3)])
@pytest.mark.parametrize("network", ["x1", "unet", "wne", "x4"])
def test_the_smallest_pictures_go_through(restored, weights, tmp_path, size, network):
    write(tmp_path / "in.png", values(*size))
    scale = 4 if network == "x4" else 1
    result = restored("-n", weights[network], "-x", task="sr" if scale == 4 else "denoise")
    assert result.shape == (size[0] * scale, size[1] * scale, 3)


def test_a_strip_of_60000_pixels_goes_through_in_tiles(restored, weights, tmp_path):
    write(tmp_path / "in.png", values(10, 60_000))
    assert restored("-n", weights["grey"]).shape == (10, 60_000, 3)


def test_a_cmyk_jpeg_comes_out_as_an_rgb_jpeg(restore, weights, tmp_path):
    from PIL import Image

    Image.fromarray(values()).convert("CMYK").save(tmp_path / "in.jpg")
    assert restore("denoise", "in.jpg", "-n", weights["x1"]).exit_code == 0
    with Image.open(tmp_path / "in_denoise.jpg") as result:
        assert result.mode == "RGB"


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore")  # of spandrel's networks
def test_published_checkpoints_are_models_by_path(restore, shared, tmp_path):
    write(tmp_path / "in.png"), write(tmp_path / "grey.png", values(channels=1))
    assert restore("sr", "in.png", "-n", shared / "checkpoints/craft_x4.pth").exit_code == 0
    assert read(tmp_path / "in_sr4x.png").shape == (80, 96, 3)
    assert restore("denoise", "in.png", "grey.png", "-n", shared / "checkpoints/dncnn_25.pth").exit_code == 0
    assert read(tmp_path / "in_denoise.png").shape == (20, 24, 3)
    assert read(tmp_path / "grey_denoise.png").shape == (20, 24)
