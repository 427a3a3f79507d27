"""Pictures in the samples and the profile that a file format has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from restore_cli.io import canvas, colour, icc
from restore_cli.io.fitting import fitting
from restore_cli.io.formats import WRITABLE_FORMATS
from restore_cli.io.image import Image
from restore_cli.io.write import write_image
from tests.io.helpers import adobe_rgb_profile, levels


@pytest.mark.parametrize("name", ["a.ppm", "a.exr", "a.hdr"])
def test_a_file_of_another_profile_is_made_some_rows_at_a_time(tmp_path: Path, monkeypatch, name: str) -> None:
    """No second picture in floats is held beside the first."""
    image = Image(levels(60, 50, 3, 16), None, 16, "PNG", "RGB;16", icc_profile=adobe_rgb_profile())
    write_image(image, tmp_path / f"whole_{name}")
    tall = []
    for function in ("to_srgb", "to_light"):
        real = getattr(colour, function)
        monkeypatch.setattr(
            colour, function, lambda rows, *rest, real=real: tall.append(len(rows)) or real(rows, *rest)
        )
    monkeypatch.setattr(canvas, "BAND_BYTES", 2000)
    write_image(image, tmp_path / name)
    assert 0 < max(tall) < 10
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole_{name}").read_bytes()


def test_what_is_stated_is_what_the_samples_are_in() -> None:
    colours = Image(levels(4, 5, 3, 16), None, 16, "PNG", "RGB;16", icc_profile=adobe_rgb_profile())
    for name, stated in (("TIFF", adobe_rgb_profile()), ("PPM", None), ("EXR", None)):
        assert fitting(colours, WRITABLE_FORMATS[name], 16).icc_profile == stated
    light = replace(colours, bit_depth=32, icc_profile=icc.linear_profile())
    assert fitting(light, WRITABLE_FORMATS["TIFF"], 32).icc_profile == icc.linear_profile()
    in_bits = fitting(light, WRITABLE_FORMATS["TIFF"], 16)
    assert in_bits.icc_profile is None
    np.testing.assert_array_equal(in_bits.convert(light.pixels), colour.from_light(light.pixels))


def test_grey_has_three_channels_where_a_format_has_no_other() -> None:
    grey = Image(levels(4, 5, 1, 8), None, 8, "PNG", "L")
    for name, channels in (("PNG", 1), ("WEBP", 3), ("AVIF", 1)):
        held = fitting(grey, WRITABLE_FORMATS[name], 8)
        assert held.channels == held.convert(grey.pixels).shape[2] == channels
    clear = replace(grey, alpha=np.full((4, 5), 0.5, np.float32))
    assert fitting(clear, WRITABLE_FORMATS["AVIF"], 8).channels == 3
