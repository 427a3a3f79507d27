"""Camera raws by LibRaw (rawpy, extra `raw`): the Bayer mosaic for `restore demosaic`, or what is in colour already.

What comes out of here is what networks were taught with: black taken off, white balance of the camera applied, white
at 1 (what a sensor cannot tell from white is white), sRGB's curve. The change from the sensor's colours to sRGB's
waits until there are three of them at each pixel (`sensor.developed`). No camera's tone curve, no sharpening.
"""

from __future__ import annotations

import io
import mmap
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io import exif as tiff_fields
from restore_cli.io.canvas import by_rows
from restore_cli.io.extras import require
from restore_cli.io.icc import SRGB, SRGB_CURVE
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_pixel_count
from restore_cli.io.sensor import Sensor, developed
from restore_cli.io.tiff_parts import quiet_stderr
from restore_cli.options import Cfa

if TYPE_CHECKING:
    import rawpy

__all__ = ["is_camera_raw", "open_raw"]

_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 262, 330, 50706
_MOSAIC, _LINEAR = 32803, 34892
_PARTS = ((273, 279), (324, 325))  # where strips and tiles start, and how long they are
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's `flip` to EXIF's number
_HINT = "Develop it to a 16-bit TIFF with a raw converter first."


def is_camera_raw(stream: BinaryIO) -> bool:
    """Whether a TIFF is a camera raw: a DNG, or one whose directories hold a mosaic or linear sensor values."""
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        directories = _directories(data)
        return any(_DNG_VERSION in each.entries or _holds_sensor_values(each) for each in directories)


def _directories(data: tiff_fields.Buffer) -> list[tiff_fields.Directory]:
    """The first directory and those it names as its parts; the sensor's values are in one of them."""
    first = tiff_fields.parse(data)
    if first is None:
        return []
    below = first.entries.get(_SUB_DIRECTORIES)
    offsets = _numbers(first, below)[:16] if below else []
    return [first, *(found for at in offsets if (found := tiff_fields.parse(data, at)))]


def _holds_sensor_values(directory: tiff_fields.Directory) -> bool:
    return directory.number(_PHOTOMETRIC) in (_MOSAIC, _LINEAR)


def _numbers(directory: tiff_fields.Directory, entry: tiff_fields.Entry) -> list[int]:
    kind = {3: "u2", 4: "u4", 13: "u4"}.get(entry.kind)
    return np.frombuffer(entry.data, directory.order + kind).tolist() if kind else []


def _check_whole(data: bytes) -> None:
    """Raises PictureError where sensor values lie outside the file: LibRaw fills a few missing ones in."""
    for directory in filter(_holds_sensor_values, _directories(data)):
        for starts, sizes in _PARTS:
            if starts in directory.entries and sizes in directory.entries:
                pairs = (_numbers(directory, directory.entries[tag]) for tag in (starts, sizes))
                if any(start + size > len(data) for start, size in zip(*pairs, strict=False)):
                    raise PictureError("is cut short")


def open_raw(stream: BinaryIO) -> Opened:
    """A camera raw: a mosaic of one channel with its `Sensor`, or three channels where the file has them."""
    require("RAW")
    import rawpy

    raw = rawpy.RawPy()
    data = io.BytesIO(stream.read())
    try:
        with quiet_stderr():
            raw.open_buffer(data)
    except rawpy.LibRawError as error:
        raise PictureError(f"is a camera raw that LibRaw does not read ({_words(error)})", _HINT) from error
    _check_whole(data.getvalue())
    sizes = raw.sizes
    check_pixel_count(sizes.height, sizes.width)

    def decode() -> Samples:
        try:
            with quiet_stderr():
                raw.unpack()
            return _samples(raw)
        except rawpy.LibRawError as error:
            raise PictureError(f"is damaged or cut short ({_words(error)})") from error
        finally:
            raw.close()

    orientation = _ORIENTATIONS.get(sizes.flip, 1)
    return Opened(sizes.height, sizes.width, decode, _metadata(data.getvalue(), orientation))


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else "unknown"
    return reason.decode("ascii", "replace") if isinstance(reason, bytes) else str(reason)


def _samples(raw: rawpy.RawPy) -> Samples:
    stored = raw.raw_image_visible
    if stored is None or stored.ndim not in (2, 3) or raw.num_colors != 3:
        raise PictureError("is a camera raw of a kind not read here", _HINT)
    if stored.ndim == 3:
        return _colours(raw, stored[..., :3])
    pattern = raw.raw_pattern
    names = raw.color_desc.decode("ascii", "replace").lower()
    if pattern is None or pattern.shape != (2, 2):
        raise PictureError("is a camera raw whose mosaic is not a Bayer pattern", _HINT)
    # The pattern of the whole sensor; what is visible of it may start in another of its corners.
    index = np.asarray(raw.raw_colors_visible[:2, :2])
    letters = "".join(names[colour] for colour in index.ravel())
    if letters not in {each.value for each in Cfa} or min(stored.shape) < 2:
        raise PictureError(f"is a camera raw with a mosaic of {letters.upper()}, not of a Bayer pattern", _HINT)
    black, white, balance = _levels(raw)
    scale = balance / (white - black)

    def lit(rows: NDArray[Any]) -> NDArray[np.float32]:
        light = np.empty(rows.shape, np.float64)
        for row in range(2):
            for column in range(2):
                colour = index[row, column]
                part = rows[row::2, column::2].astype(np.float64)
                light[row::2, column::2] = (part - black[colour]) * scale[colour]
        return SRGB_CURVE.samples(np.minimum(light, 1)).astype(np.float32)

    sensor = Sensor(Cfa(letters), _to_srgb(raw))
    values = by_rows(lit, stored)[..., None]
    return Samples(values, False, 1.0, 16, "mosaic;16", sensor=sensor)


def _colours(raw: rawpy.RawPy, stored: NDArray[Any]) -> Samples:
    """A raw that has been demosaicked already (linear DNG), as sRGB."""
    black, white, balance = _levels(raw)
    scale = (balance / (white - black))[:3]

    def lit(rows: NDArray[Any]) -> NDArray[np.float32]:
        light = np.minimum((rows.astype(np.float64) - black[:3]) * scale, 1)
        return SRGB_CURVE.samples(light).astype(np.float32)

    pixels = developed(by_rows(lit, stored), Sensor(Cfa.RGGB, _to_srgb(raw)))
    return Samples(pixels, False, 1.0, 16, "RGB;16")


def _levels(raw: rawpy.RawPy) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Black and white level and white balance, the smallest 1, by colour number: R, G, B and the second G."""
    black = np.asarray(raw.black_level_per_channel, np.float64)
    stated = raw.camera_white_level_per_channel
    white = np.asarray(stated if stated is not None and min(stated) > 0 else [raw.white_level] * 4, np.float64)
    for gains in (raw.camera_whitebalance, raw.daylight_whitebalance, [1, 1, 1, 0]):
        balance = np.asarray(gains, np.float64)
        if np.all(balance[:3] > 0) and np.all(np.isfinite(balance)):
            break
    if not balance[3] > 0:
        balance[3] = balance[1]
    if np.any(white <= black):
        raise PictureError("is a camera raw whose white level is not above its black level", _HINT)
    # The least gain 1: then all colours of a blown-out highlight reach 1, and it stays white.
    return black, white, balance / balance.min()


def _to_srgb(raw: rawpy.RawPy) -> tuple[tuple[float, float, float], ...]:
    """From the sensor's balanced light to sRGB's; as it is, for a camera nobody has measured.

    LibRaw has one of two: the matrix itself, or the one from CIE XYZ (D65) to the sensor's light.
    """
    matrix = np.asarray(raw.color_matrix, np.float64)[:, :3]
    from_xyz = np.asarray(raw.rgb_xyz_matrix, np.float64)[:3]
    if not matrix.any() and abs(np.linalg.det(from_xyz)) > 1e-6:
        assert SRGB.adaptation is not None and SRGB.to_xyz is not None
        from_srgb = from_xyz @ np.linalg.solve(SRGB.adaptation, SRGB.to_xyz)
        # White of sRGB is white of the balanced sensor, whatever the matrix says of its sensitivities.
        matrix = np.linalg.inv(from_srgb / from_srgb.sum(axis=1, keepdims=True))
    sums = matrix.sum(axis=1, keepdims=True)
    if not np.all(np.isfinite(matrix)) or np.any(np.abs(sums) < 0.1):
        matrix, sums = np.eye(3), np.ones((3, 1))
    first, second, third = ((float(row[0]), float(row[1]), float(row[2])) for row in matrix / sums)
    return first, second, third


def _metadata(data: bytes, orientation: int) -> Metadata:
    """EXIF and XMP of the raws that are TIFF; those of other makers' containers are left."""
    from restore_cli.io.tiff import metadata_of

    directory = tiff_fields.parse(data)
    if directory is None:
        return Metadata(orientation=orientation)
    found = metadata_of(directory)
    # The file's resolution is a formality, and its profile that of the preview.
    return Metadata(exif=found.exif, xmp=found.xmp, iptc=found.iptc, orientation=orientation)
