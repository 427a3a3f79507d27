"""HEIF and AVIF: depth, profiles by code points, orientation by the container."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from restore_cli.errors import InputError
from restore_cli.io import colour, icc
from restore_cli.io.avif import encode_avif
from restore_cli.io.metadata import orientation_of, without_orientation
from restore_cli.io.opened import Metadata
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import Encoding
from tests.io.helpers import XMP, display_p3_profile, exif, exif_of, levels, needs, picture

FLAT = np.full((32, 48, 3), (200, 60, 90), np.uint8)


def heic(path: Path, values: np.ndarray, mode: str = "RGB", **options: object) -> Path:
    import pillow_heif

    buffer = io.BytesIO()
    height, width = values.shape[:2]
    pillow_heif.encode(mode, (width, height), values.tobytes(), buffer, chroma=444, **{"quality": -1, **options})
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize(("bits", "peak"), [(10, 1023), (12, 4095)])
def test_deep_heic_is_read_in_all_its_bits(tmp_path: Path, bits: int, peak: int) -> None:
    needs("HEIF")
    stored = np.random.default_rng(0).integers(0, peak + 1, (32, 48, 3))
    values = (stored << (16 - bits)).astype(np.uint16)
    image = read_image(heic(tmp_path / "a", values, "RGB;16", bit_depth=bits, matrix_coefficients=0))
    assert (image.bit_depth, image.source_mode, image.lossless) == (16, "RGB;16", True)
    np.testing.assert_allclose(image.pixels, stored / peak, atol=1e-6)
    write_image(image, tmp_path / "b.png")
    np.testing.assert_allclose(read_image(tmp_path / "b.png").pixels, stored / peak, atol=1e-5)


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_is_read_in_all_its_bits(tmp_path: Path, bits: int) -> None:
    needs("AVIF of more than 8 bits")
    import imagecodecs

    stored = np.random.default_rng(0).integers(0, 2**bits, (32, 48, 3)).astype(np.uint16)
    (tmp_path / "a").write_bytes(imagecodecs.avif_encode(stored, level=100, bitspersample=bits))
    image = read_image(tmp_path / "a")
    assert image.bit_depth == 16
    np.testing.assert_allclose(image.pixels, stored / (2**bits - 1), atol=1.5 / 2**bits)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_container_turns_an_avif(tmp_path: Path, orientation: int) -> None:
    values = (np.kron(levels(2, 3, 3, 8), np.ones((16, 16, 1))) * 255).astype(np.uint8)
    picture = PillowImage.fromarray(values)
    picture.save(tmp_path / "a", "AVIF", quality=100, subsampling="4:4:4", exif=b"Exif\0\0" + exif(orientation))
    from PIL import ImageOps

    tagged = PillowImage.fromarray(values)
    tagged.getexif()[0x0112] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(tagged)) / 255
    image = read_image(tmp_path / "a")
    assert read_size(tmp_path / "a") == wanted.shape[:2]
    np.testing.assert_allclose(image.pixels, wanted, atol=0.02)
    assert orientation_of(image.exif, image.xmp) == 1
    assert exif_of(image.exif)[0x010F] == "Kamera"


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_container_turns_a_heic_and_exif_does_not_turn_it_again(tmp_path: Path, orientation: int) -> None:
    needs("HEIF")
    values = (np.kron(levels(2, 3, 3, 8), np.ones((16, 16, 1))) * 255).astype(np.uint8)
    path = heic(tmp_path / "a", values, exif=exif(orientation), matrix_coefficients=0)
    from PIL import ImageOps

    tagged = PillowImage.fromarray(values)
    tagged.getexif()[0x0112] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(tagged)) / 255
    image = read_image(path)
    np.testing.assert_allclose(image.pixels, wanted, atol=1e-6)
    assert orientation_of(image.exif, image.xmp) == 1


def test_primaries_by_number_become_a_profile(tmp_path: Path) -> None:
    needs("HEIF")
    p3 = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 0, "full_range_flag": 1}
    image = read_image(heic(tmp_path / "a", FLAT, **p3))
    wanted = colour.to_srgb(image.pixels, display_p3_profile())
    np.testing.assert_allclose(colour.to_srgb(image.pixels, image.icc_profile), wanted, atol=1e-4)
    srgb = read_image(heic(tmp_path / "b", FLAT, matrix_coefficients=0))
    assert srgb.icc_profile is None


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_absolute_light_is_refused(tmp_path: Path, transfer: int, name: str) -> None:
    needs("HEIF")
    hdr = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9, "full_range_flag": 1}
    with pytest.raises(InputError, match=f"high dynamic range in the curve {name}"):
        read_image(heic(tmp_path / "a", FLAT, **hdr))


@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_keeps_its_values(tmp_path: Path, name: str, order: str) -> None:
    needs(name)
    write_image(
        picture(icc_profile=display_p3_profile(), exif=exif(order=order), xmp=XMP % 1), tmp_path / "a", format=name
    )
    again = read_image(tmp_path / "a")
    assert (again.icc_profile, again.xmp) == (display_p3_profile(), XMP % 1)
    fields = exif_of(again.exif)
    assert (fields[0x010F], fields[0x013B], fields.get_ifd(0x8769)[0x8827]) == ("Kamera", "Ann", 400)


@pytest.mark.parametrize("order", ["<", ">"])
def test_taking_out_the_orientation_moves_nothing_else(order: str) -> None:
    before = exif(1, order=order)
    after = without_orientation(before)
    assert len(after) == len(before)
    fields = exif_of(after)
    assert 0x0112 not in fields
    assert (fields[0x010F], fields[0x013B], fields.get_ifd(0x8769)[0x8827]) == ("Kamera", "Ann", 400)
    assert without_orientation(after) == after


@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
def test_quality_makes_it_smaller(tmp_path: Path, name: str) -> None:
    needs(name)
    for quality in (20, 95):
        write_image(picture(64, 64), tmp_path / f"{quality}", format=name, encoding=Encoding(quality=quality))
    assert (tmp_path / "20").stat().st_size < (tmp_path / "95").stat().st_size


@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused_in_one_line_and_silence(
    tmp_path: Path, name: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    needs(name)
    write_image(picture(64, 64), tmp_path / "a", format=name)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "b").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "b")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_grey_avif_is_grey() -> None:
    data = encode_avif(FLAT[..., :1], Metadata(), None)
    with PillowImage.open(io.BytesIO(data)) as file:
        assert file.mode == "L"


def test_code_points_without_a_curve_of_their_own_are_srgbs() -> None:
    from restore_cli.io.boxes import profile_in

    assert profile_in(b"colrnclx\x00\x01\x00\x01\x00\x01\x80") is None
    assert profile_in(b"nothing of the kind") is None
    linear = profile_in(b"colrnclx\x00\x01\x00\x08\x00\x00\x80")
    assert icc.parse(linear).is_linear
