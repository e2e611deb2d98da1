"""Images: PNG, BMP and JPEG bytes ↔ arrays, first row on top; for both programs.

Read by Pillow, whole and undamaged or refused: a PNG is verified up to its last chunk, because decoders stop at the
last pixel; of BMP and JPEG Pillow itself refuses what is cut off. Written by OpenCV in half of Pillow's time.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from fer_prep.errors import FormatError

MAX_PIXELS: Final = 24_000_000
"""No picture of a face dataset comes near this; a header that claims more is damaged."""
MAX_SIDE: Final = 32_766
"""OpenCV, also the one inside MediaPipe, turns no larger ones and ends the process."""
_MAX_JPEG_SCANS: Final = 20
"""Progressive pictures have about ten; each costs a decoder a pass over all pixels, however few bytes it has."""

_KINDS: Final[Mapping[bytes, Callable[[io.BytesIO], ImageFile]]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"BM": BmpImageFile,
    b"\xff\xd8\xff": JpegImageFile,
}
_MODE_OF_DEPTH: Final = "I;16"
_ORIENTATION: Final = 0x0112
_EXPECTED: Final = "a PNG, BMP or JPEG picture"

Pixels = TypeVar("Pixels", bound=NDArray[np.generic])


def read_rgb(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB of a PNG, BMP or JPEG; grey becomes three equal channels, alpha is dropped.

    An orientation tag is not applied: whoever knows what lies beside the picture asks ``orientation`` for it.
    """

    def colours(image: ImageFile) -> NDArray[np.uint8]:
        if image.mode.startswith(("I", "F")):
            raise FormatError(expected="a picture of 8 bits a channel", found=f"{_in_words(image)} (a depth map?)")
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))

    return _read(data, colours)


def orientation(data: bytes) -> int:
    """The EXIF orientation of a picture that ``read_rgb`` reads, 1 to 8; 1 where there is none."""

    def tag(image: ImageFile) -> NDArray[np.int64]:
        return np.array(image.getexif().get(_ORIENTATION, 1))

    value = _read(data, tag).item()
    return value if value in range(1, 9) else 1


def oriented(pixels: NDArray[np.uint8], tag: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) as its EXIF orientation wants it shown (CIPA DC-008, §4.6.5)."""
    turned = np.rot90(pixels, {3: 2, 4: 2, 6: 3, 5: 3, 7: 1, 8: 1}.get(tag, 0))
    return np.ascontiguousarray(turned[:, ::-1] if tag in (2, 4, 5, 7) else turned)


def read_depth(data: bytes) -> NDArray[np.uint16]:
    """(H, W) uint16 of a 16-bit single-channel PNG."""

    def heights(image: ImageFile) -> NDArray[np.uint16]:
        if image.format != "PNG" or image.mode != _MODE_OF_DEPTH:
            raise FormatError(expected="a 16-bit single-channel PNG", found=_in_words(image))
        return np.array(image, np.uint16)

    return _read(data, heights)


def write_image(pixels: NDArray[np.uint8] | NDArray[np.uint16], *, kind: Literal["png", "bmp"] = "png") -> bytes:
    """The file of (H, W, 3) uint8 sRGB, (H, W) uint8 or, as PNG only, (H, W) uint16: the same array, the same bytes."""
    legal = {((3,), "uint8"), ((), "uint8")} | ({((), "uint16")} if kind == "png" else set())
    if (pixels.shape[2:], pixels.dtype.name) not in legal or pixels.ndim < 2 or not pixels.size:
        raise FormatError(
            expected=f"(H, W, 3) or (H, W) of a type that {kind} holds", found=f"{pixels.shape} {pixels.dtype}"
        )
    import cv2  # training alone does without it

    # differences from the row above, and their repeats: other ways take up to twice as long for a tenth of the bytes
    way = cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE
    in_its_order = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    return cv2.imencode(f".{kind}", in_its_order, way if kind == "png" else ())[1].tobytes()


def _read(data: bytes, to_array: Callable[[ImageFile], Pixels]) -> Pixels:
    if not data:
        raise FormatError(expected=_EXPECTED, found="an empty file")
    opened = next((opens for start, opens in _KINDS.items() if data.startswith(start)), None)
    if opened is None:
        raise FormatError(expected=_EXPECTED, found=f"bytes {data[:8]!r}")
    try:
        # by its class: ``Image.open`` warns of pictures that are none of ours to warn of
        with opened(io.BytesIO(data)) as image:
            _check(image, data)
            return to_array(image)
    except FormatError:
        raise
    except Exception as error:  # Pillow raises errors of many classes for damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FormatError(expected=f"an undamaged {_EXPECTED[2:]}", found=reason[:200]) from None


def _check(image: ImageFile, data: bytes) -> None:
    """Refuse what only claims to be a picture, before memory or time is spent on it."""
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise FormatError(
            expected=f"a picture of 1 to {MAX_PIXELS} pixels and at most {MAX_SIDE} a side",
            found=f"a header of {width} × {height}",
        )
    if image.format == "JPEG" and (scans := data.count(b"\xff\xda")) > _MAX_JPEG_SCANS:
        raise FormatError(expected=f"a JPEG of at most {_MAX_JPEG_SCANS} scans", found=f"{scans}")
    if image.format == "PNG":
        _check_chunks(memoryview(data))


def _check_chunks(data: memoryview) -> None:
    """Every chunk of a PNG is whole, up to the last one (ISO/IEC 15948, §5.3)."""
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ValueError(f"the check sum of the {kind.decode('latin-1')} chunk at byte {at} is wrong")
        at = end + 4


def _in_words(image: ImageFile) -> str:
    bits = "a 16-bit" if image.mode == _MODE_OF_DEPTH else "an 8-bit"
    channels = "single-channel" if len(image.getbands()) == 1 else "colour"
    return f"{bits} {channels} {image.format}"
