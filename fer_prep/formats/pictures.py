"""Pictures: PNG, BMP and JPEG bytes ↔ arrays, first row on top.

Sizes and check sums are verified before a decoder sees the bytes: decoders hand back half a picture where a file is
cut off, and allocate whatever a header claims.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from kornia_rs import io as kornia_io
from numpy.typing import NDArray

from fer_prep.errors import FormatError
from fer_prep.formats import png

MAX_PIXELS: Final = 24_000_000
"""No picture of a face dataset comes near this; a header that claims more is damaged."""
MAX_SIDE: Final = 32_766
"""OpenCV, also the one inside MediaPipe, turns no larger ones and ends the process."""
_MAX_JPEG_SCANS: Final = 20
"""Progressive pictures have about ten; each costs a decoder a pass over all pixels, however few bytes it has."""

_GREY_TYPES: Final = (np.dtype(np.uint8), np.dtype(np.uint16))
_EXPECTED: Final = "a PNG, BMP or JPEG picture"
# JPEG markers that carry the picture's size: SOF0…SOF15 without DHT (C4), JPG (C8) and DAC (CC)
_JPEG_SIZE_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class PictureHeader(NamedTuple):
    """What a picture says about itself before it is decoded."""

    kind: str
    """``png``, ``bmp`` or ``jpeg``."""
    width: int
    height: int
    bits: int
    """Bits per channel."""
    grey: bool
    """True for a single channel without palette or alpha (known for PNG only)."""


def read_rgb(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB of a PNG, BMP or JPEG; grey becomes three equal channels, alpha is dropped.

    An orientation tag is not applied: depth beside the picture is stored in the unrotated raster.
    """
    header = read_header(data)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    if header.kind != "png":
        return _decode(data, flags)  # type: ignore[return-value]
    return _decode_png(data, header, shape=(3,), flags=flags)  # type: ignore[return-value]


def read_depth_png(data: bytes) -> NDArray[np.uint16]:
    """(H, W) uint16 of a 16-bit single-channel PNG."""
    header = read_header(data)
    if header.kind != "png" or header.bits != 16 or not header.grey:
        channels = "single-channel" if header.grey else "colour"
        raise FormatError(expected="a 16-bit single-channel PNG", found=f"{header.bits}-bit {channels} {header.kind}")
    return _decode_png(data, header, shape=(), flags=cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]


def png_bytes(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """PNG of (H, W, 3) uint8 sRGB, (H, W) uint8 or (H, W) uint16; the same array gives the same bytes."""
    channels = pixels.shape[2:]
    is_grey = channels == () and pixels.dtype in _GREY_TYPES
    legal = is_grey or (channels == (3,) and pixels.dtype == np.uint8)
    if not legal or pixels.ndim < 2 or 0 in pixels.shape:
        raise FormatError(expected="(H, W, 3) uint8, or (H, W) uint8 or uint16", found=f"{pixels.shape} {pixels.dtype}")
    return png.encode(pixels)


def bmp_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """24-bit BMP of (H, W, 3) uint8 sRGB."""
    _, encoded = cv2.imencode(".bmp", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return encoded.tobytes()


def read_header(data: bytes) -> PictureHeader:
    """Kind and size of a picture; raises FormatError where it says neither, or is plainly cut off."""
    if data.startswith(png.SIGNATURE):
        header = _png_header(data)
    elif data.startswith(b"BM"):
        header = _bmp_header(data)
    elif data.startswith(b"\xff\xd8"):
        header = _jpeg_header(data)
    else:
        raise FormatError(expected=_EXPECTED, found=f"bytes {data[:8]!r}" if data else "an empty file")
    sides = header.width, header.height
    if not 0 < header.width * header.height <= MAX_PIXELS or not 0 < min(sides) <= max(sides) <= MAX_SIDE:
        raise FormatError(
            expected=f"a picture of 1 to {MAX_PIXELS} pixels and at most {MAX_SIDE} a side",
            found=f"a header of {header.width} × {header.height}",
        )
    return header


def _decode_png(data: bytes, header: PictureHeader, *, shape: tuple[int, ...], flags: int) -> NDArray[Any]:
    """The pixels of a PNG, (H, W, *shape), by the fastest that can be sure of them."""
    pixels = png.decode_own(data)
    if pixels is not None and pixels.shape[2:] == shape:
        return pixels
    if header.bits == 8 * (2 - len(shape)) and header.grey == (shape == ()):
        decode, mode = (kornia_io.decode_image_png_u8, "rgb") if shape else (kornia_io.decode_image_png_u16, "mono")
        # it refuses what is damaged, but also colours in a palette: what is wrong is found out below
        with suppress(Exception):
            return decode(data, (header.height, header.width), mode).reshape(header.height, header.width, *shape)
    return _decode(png.with_stored_pixels(data), flags)


def _decode(data: bytes, flags: int) -> NDArray[Any]:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FormatError(expected=_EXPECTED, found=f"bytes OpenCV refuses: {error.err}") from None
    if image is None:
        raise FormatError(expected=_EXPECTED, found="damaged picture data")
    return image


def _png_header(data: bytes) -> PictureHeader:
    """What the first chunk says (PNG specification §11.2.2); the others are looked at when they are decoded."""
    kind, body = next(png.chunks(data))
    if kind != b"IHDR" or len(body) != 13:
        raise FormatError(expected="a PNG that begins with its header", found=f"a chunk {kind!r} of {len(body)} bytes")
    width, height, bits, colour = struct.unpack_from(">IIBB", body)
    return PictureHeader("png", width, height, bits, colour == png.GREY)


def _bmp_header(data: bytes) -> PictureHeader:
    """BITMAPFILEHEADER and BITMAPINFOHEADER; a negative height means that the top row comes first."""
    if len(data) < 54:
        raise FormatError(expected="a BMP header of 54 bytes", found=f"{len(data)} bytes")
    pixels_at, header_size, width, height, _, bits = struct.unpack_from("<10xIIiiHH", data)
    if header_size < 40 or width <= 0 or height == 0 or bits not in (1, 4, 8, 16, 24, 32):
        raise FormatError(expected="a BMP of 1 to 32 bits", found=f"a header of {width} × {height} pixels, {bits} bits")
    (compression,) = struct.unpack_from("<30xI", data)
    needed = pixels_at + (width * bits + 31) // 32 * 4 * abs(height)
    if compression == 0 and len(data) < needed:
        raise FormatError(expected=f"a BMP of {needed} bytes, as its header says", found=f"{len(data)} bytes")
    return PictureHeader("bmp", width, abs(height), 8, False)


def _jpeg_header(data: bytes) -> PictureHeader:
    """Walk the marker segments (ITU T.81 annex B) up to the frame header; the end marker must be there."""
    position = 2
    while position + 10 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _JPEG_SIZE_MARKERS:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, position + 4)
            if b"\xff\xd9" not in data[-64:]:
                raise FormatError(expected="a whole JPEG", found="a JPEG without its end marker")
            if (scans := data.count(b"\xff\xda")) > _MAX_JPEG_SCANS:
                raise FormatError(expected=f"a JPEG of at most {_MAX_JPEG_SCANS} scans", found=f"{scans}")
            return PictureHeader("jpeg", width, height, bits, channels == 1)
        (length,) = struct.unpack_from(">H", data, position + 2)
        position += 1 if marker == 0xFF else 2 + max(length, 2)
    raise FormatError(expected="a JPEG with a frame header", found=f"none up to byte {position}")
