"""ICC profiles of the simple kind - three primaries and a tone curve - read, computed with and made.

Their arithmetic is done here in double precision because colour management modules offer 8 bits, or clip. Adobe RGB,
Display P3, ProPhoto, Rec. 2020, cameras' and most displays' profiles are of this kind; those that are tables
(printers', scanners') are not, and `parse` returns None for them. Source: ICC.1:2022, sections 8.3, 10.6 and 10.18.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "D65",
    "REC_709",
    "SRGB",
    "SRGB_CURVE",
    "Curve",
    "MatrixProfile",
    "build",
    "linear_profile",
    "of_primaries",
    "parse",
    "profile_space",
]

Doubles: TypeAlias = NDArray[np.float64]

D65 = (0.3127, 0.3290)
REC_709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *D65)
"""CIE 1931 x and y of sRGB's red, green, blue and white."""

_D50_XYZ = np.array([0.9642, 1.0, 0.8249])  # to which every profile refers
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Parameters of 'para' in the standard's order, by its type number, for the types without a dead range.
_PARAMETRIC = {0: "g", 3: "gabcd", 4: "gabcdef"}
_DEFAULTS = {"g": 1.0, "a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0, "e": 0.0}


@dataclass(frozen=True)
class Curve:
    """From a sample to the light it stands for: (a x + b)**g + e from d on, c x + f below, or a table.

    Odd about zero and going on above one, so that nothing is clipped on the way there and back.

    Args:
        g, a, b, c, d, e: see above; `f` is 0 wherever a curve is usable here.
        table: strictly rising values over [0, 1]; empty for a formula.
    """

    g: float = 1.0
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0
    table: tuple[float, ...] = ()

    @property
    def is_linear(self) -> bool:
        """Whether samples are proportional to light."""
        return not self.table and (self.g, self.a, self.b, self.d) == (1, 1, 0, 0)

    def light(self, samples: Doubles) -> Doubles:
        """Samples as light, both nominally in [0, 1]."""
        if self.is_linear:
            return samples
        x = np.abs(samples)
        y = self._through_table(x, inverse=False) if self.table else self._power(x)
        return np.copysign(y, samples)

    def samples(self, light: Doubles) -> Doubles:
        """The inverse of `light`."""
        if self.is_linear:
            return light
        y = np.abs(light)
        x = self._through_table(y, inverse=True) if self.table else self._root(y)
        return np.copysign(x, light)

    def _power(self, x: Doubles) -> Doubles:
        upper = np.maximum(self.a * x + self.b, 0) ** self.g + self.e
        return np.where(x >= self.d, upper, self.c * x) if self.d > 0 else upper

    def _root(self, y: Doubles) -> Doubles:
        upper: Doubles = (np.maximum(y - self.e, 0) ** (1 / self.g) - self.b) / self.a
        knee = (self.a * self.d + self.b) ** self.g + self.e
        return np.where(y >= knee, upper, y / self.c) if self.d > 0 else upper

    def _through_table(self, values: Doubles, inverse: bool) -> Doubles:
        light, places = np.asarray(self.table), np.linspace(0, 1, len(self.table))
        known, wanted = (light, places) if inverse else (places, light)
        found = np.interp(values, known, wanted)
        slope = (wanted[-1] - wanted[-2]) / (known[-1] - known[-2])
        return np.where(values > known[-1], wanted[-1] + (values - known[-1]) * slope, found)


SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


@dataclass(frozen=True, eq=False)
class MatrixProfile:
    """Light of the primaries to CIE XYZ under D50.

    Args:
        curves: one a channel: three, or one for grey.
        to_xyz: (3, 3), a column a primary; None for grey.
        adaptation: (3, 3), from the primaries' own white to D50, where the profile says so.
    """

    curves: tuple[Curve, ...]
    to_xyz: Doubles | None
    adaptation: Doubles | None = None

    @property
    def is_linear(self) -> bool:
        """Whether samples are proportional to light."""
        return all(curve.is_linear for curve in self.curves)

    @property
    def chromaticities(self) -> tuple[float, ...]:
        """X and y of red, green, blue and white before they were adapted to D50 (from D65, if nothing is said)."""
        if self.to_xyz is None:
            return REC_709
        to_d50 = SRGB.adaptation if self.adaptation is None else self.adaptation
        assert to_d50 is not None
        columns = np.linalg.inv(to_d50) @ np.column_stack([self.to_xyz, self.to_xyz.sum(axis=1)])
        return tuple(float(value) for column in columns.T for value in column[:2] / column.sum())


def profile_space(icc: bytes | None) -> str:
    """The colour space a profile speaks of ("RGB", "GRAY", "CMYK", ...), "" where there is none."""
    return icc[16:20].decode("ascii", "replace").strip() if icc and len(icc) >= 20 else ""


def parse(icc: bytes) -> MatrixProfile | None:
    """The profile's primaries and curves; None where it has none, or they cannot be undone."""
    try:
        tags = _tags(icc)
        space = icc[16:20]
        if space == b"GRAY" and b"kTRC" in tags:
            curve = _curve(tags[b"kTRC"])
            return MatrixProfile((curve,), None) if curve else None
        if space != b"RGB " or icc[20:24] != b"XYZ ":
            return None
        curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
        to_xyz = np.column_stack([_fixed(tags[name], 3) for name in (b"rXYZ", b"gXYZ", b"bXYZ")])
        adaptation = _fixed(tags[b"chad"], 9).reshape(3, 3) if b"chad" in tags else None
    except (struct.error, KeyError, ValueError):
        return None
    usable = tuple(curve for curve in curves if curve)
    if len(usable) < 3 or abs(np.linalg.det(to_xyz)) < 1e-4:
        return None
    if adaptation is not None and abs(np.linalg.det(adaptation)) < 1e-4:
        adaptation = None
    return MatrixProfile(usable, to_xyz, adaptation)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    found = {}
    for index in range(min(count, 256)):
        name, start, size = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        found[name] = icc[start : start + size]
    return found


def _fixed(tag: bytes, count: int) -> Doubles:
    return np.array(struct.unpack_from(f">{count}i", tag, 8)) / 65536


def _curve(tag: bytes) -> Curve | None:
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        names = _PARAMETRIC.get(kind)
        if names is None:
            return None
        numbers = dict(zip(names, np.array(struct.unpack_from(f">{len(names)}i", tag, 12)) / 65536, strict=True))
        offset = numbers.pop("f", 0)
        g, a, b, c, d, e = (float(numbers.get(name, default)) for name, default in _DEFAULTS.items())
        curve = Curve(g, a, b, c, d, e)
        invertible = curve.g > 0 and curve.a > 0 and offset == 0 and (curve.d <= 0 or curve.c > 0)
        return curve if invertible else None
    if tag[:4] != b"curv":
        return None
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return Curve()
    if count == 1:
        gamma = struct.unpack_from(">H", tag, 12)[0] / 256
        return Curve(gamma) if gamma > 0 else None
    values = np.frombuffer(tag, ">u2", count, 12) / 65535
    if count > 65536 or np.any(np.diff(values) < 0) or values[-1] < 0.5:
        return None
    # Rounded to 16 bits, the toe of a curve is flat. The least of slopes lets the way back find every sample.
    return Curve(table=tuple(values + np.linspace(0, 1e-6, count)))


def _adaptation(white: Doubles) -> Doubles:
    """Bradford's transformation of colours under `white` (XYZ) to D50."""
    gains = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ white)
    adaptation: Doubles = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return adaptation


def of_primaries(chromaticities: tuple[float, ...], curve: Curve) -> MatrixProfile:
    """The profile of primaries: x and y of red, green, blue and white.

    Raises:
        ValueError: they span no space of colours.
    """
    x, y = np.array(chromaticities, np.float64).reshape(4, 2).T
    if np.any(y == 0) or not np.all(np.isfinite(x + y)):
        raise ValueError("primaries without light")
    points = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    primaries, white = points[:, :3], points[:, 3]
    if abs(np.linalg.det(primaries)) < 1e-6:
        raise ValueError("primaries on one line")
    adaptation = _adaptation(white)
    return MatrixProfile((curve,) * 3, adaptation @ (primaries * np.linalg.solve(primaries, white)), adaptation)


def linear_profile(chromaticities: tuple[float, ...] = REC_709) -> bytes:
    """The profile of samples proportional to the light of primaries, see `of_primaries`."""
    return build(of_primaries(chromaticities, Curve()), "linear RGB")


def build(profile: MatrixProfile, description: str) -> bytes:
    """An ICC version 4 profile: RGB, or grey where it has one curve. Tables are not written, formulas are."""
    colour = profile.to_xyz is not None
    tags: dict[bytes, bytes] = {
        b"desc": _text(description),
        b"cprt": _text("CC0"),
        b"wtpt": _numbers(b"XYZ ", _D50_XYZ),
    }
    if profile.adaptation is not None:
        tags[b"chad"] = _numbers(b"sf32", profile.adaptation.ravel())
    if profile.to_xyz is not None:
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), profile.to_xyz.T, strict=True):
            tags[name] = _numbers(b"XYZ ", column)
    for name, curve in zip((b"rTRC", b"gTRC", b"bTRC") if colour else (b"kTRC",), profile.curves, strict=True):
        parameters = np.array([curve.g, curve.a, curve.b, curve.c, curve.d, curve.e, 0.0])
        tags[name] = b"para" + bytes(4) + struct.pack(">HH", 4, 0) + _numbers(b"", parameters)[4:]
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    space = b"RGB " if colour else b"GRAY"
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x04400000, b"mntr", space, b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + _numbers(b"", _D50_XYZ)[4:]
    return head.ljust(128, b"\0") + table + body


def _numbers(kind: bytes, values: Doubles) -> bytes:
    return kind + bytes(4) + struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


SRGB = of_primaries(REC_709, SRGB_CURVE)
