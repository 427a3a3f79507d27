"""Profiles of primaries and curves, against LittleCMS and against themselves."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageCms

from restore_cli.io import icc
from tests.io.helpers import (
    adobe_rgb_profile,
    display_p3_profile,
    grey_ink_profile,
    icc_profile,
    linear_grey_profile,
    prophoto_profile,
    srgb_profile,
)

GAMMA = icc.Curve(2.2)
CURVES = {
    "linear": icc.Curve(),
    "gamma": GAMMA,
    "sRGB": icc.SRGB_CURVE,
    "offset": icc.Curve(2.4, 0.9, 0.1, 0.145**2.4 / 0.05, 0.05, 0.0),
    "table": icc.Curve(table=tuple(np.linspace(0, 1, 33) ** 2.2 + np.linspace(0, 1e-6, 33))),
}


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_every_curve_is_undone_beyond_its_ends_too(curve: icc.Curve) -> None:
    samples = np.linspace(-1.5, 2.5, 4001)
    np.testing.assert_allclose(curve.samples(curve.light(samples)), samples, atol=2e-6)
    light = curve.light(samples)
    assert np.all(np.diff(light) > 0)
    np.testing.assert_array_equal(curve.light(-samples), -light)


def test_srgb_is_what_its_standard_says() -> None:
    np.testing.assert_allclose(
        icc.SRGB_CURVE.light(np.array([0, 0.04, 0.5, 1])), [0, 0.0030960, 0.2140411, 1], atol=1e-6
    )
    # IEC 61966-2-1, adapted to D50 by Bradford's transformation.
    expected = [[0.43607, 0.38515, 0.14307], [0.22249, 0.71689, 0.06061], [0.01392, 0.09708, 0.71410]]
    np.testing.assert_allclose(icc.SRGB.to_xyz, expected, atol=5e-4)


@pytest.mark.parametrize("made", [adobe_rgb_profile, display_p3_profile, prophoto_profile, icc.linear_profile])
def test_what_is_built_is_read_again(made) -> None:
    profile = icc.parse(made())
    again = icc.parse(icc.build(profile, "again"))
    np.testing.assert_allclose(again.to_xyz, profile.to_xyz, atol=2e-5)
    assert again.curves == profile.curves
    np.testing.assert_allclose(again.chromaticities, profile.chromaticities, atol=2e-4)


def test_primaries_come_out_as_they_went_in() -> None:
    p3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *icc.D65)
    np.testing.assert_allclose(icc.parse(icc.linear_profile(p3)).chromaticities, p3, atol=1e-4)
    # A profile that does not say how it was adapted: from D65, as nearly all were.
    silent = icc.MatrixProfile(icc.SRGB.curves, icc.SRGB.to_xyz)
    np.testing.assert_allclose(silent.chromaticities, icc.REC_709, atol=1e-6)


@pytest.mark.parametrize("made", [adobe_rgb_profile, display_p3_profile, prophoto_profile])
def test_littlecms_reads_the_same_from_it(made) -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(60, 200, (20, 20, 3)).astype(np.uint8)
    stored = (stored.mean(axis=2, keepdims=True) + (stored - stored.mean(axis=2, keepdims=True)) / 4).astype(np.uint8)
    theirs = ImageCms.profileToProfile(
        PillowImage.fromarray(stored),
        ImageCms.ImageCmsProfile(io.BytesIO(made())),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    profile = icc.parse(made())
    light = np.stack([curve.light(stored[..., at] / 255) for at, curve in enumerate(profile.curves)], axis=-1)
    ours = icc.SRGB_CURVE.samples(light @ np.linalg.solve(icc.SRGB.to_xyz, profile.to_xyz).T)
    np.testing.assert_allclose(ours * 255, np.asarray(theirs), atol=1.6)


def test_tables_with_a_flat_toe_can_be_undone() -> None:
    rounded = np.round(np.linspace(0, 1, 1024) ** 2.2 * 65535).astype(">u2")
    assert rounded[1] == 0
    tag = b"curv" + bytes(4) + struct.pack(">I", 1024) + rounded.tobytes()
    curve = icc.parse(icc_profile(b"GRAY", {b"kTRC": tag})).curves[0]
    levels = np.arange(256) / 255
    np.testing.assert_allclose(curve.samples(curve.light(levels)), levels, atol=1e-9)
    np.testing.assert_allclose(curve.light(levels), levels**2.2, atol=1e-4)


def test_profiles_of_tables_and_of_other_spaces_are_left() -> None:
    assert icc.parse(grey_ink_profile()) is None
    assert icc.parse(b"") is None
    assert icc.parse(srgb_profile()[:200]) is None
    falling = b"curv" + bytes(4) + struct.pack(">I3H", 3, 0, 60_000, 50_000)
    assert icc.parse(icc_profile(b"GRAY", {b"kTRC": falling})) is None
    assert icc.parse(linear_grey_profile()).is_linear


@pytest.mark.parametrize(
    "points", [(0.3, 0.3) * 4, (0.64, 0.0, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329), (float("nan"),) * 8]
)
def test_impossible_primaries_are_refused(points: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="primaries"):
        icc.of_primaries(points, GAMMA)


@given(st.integers(0, 599), st.binary(min_size=1, max_size=12))
def test_no_profile_is_too_broken_to_look_at(place: int, noise: bytes) -> None:
    profile = adobe_rgb_profile()
    icc.parse(profile[:place] + noise + profile[place + len(noise) :])
    icc.parse(profile[:place])
