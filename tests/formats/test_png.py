"""The PNG files of this project: any reader reads them, and reading them fast gives the same pixels."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hostile_bytes import peak_memory
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.errors import FormatError
from fer_prep.formats import png

HEIGHTS = st.integers(1, 70)  # less than one block of rows, exactly some, one more


def by_opencv(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def pixels_of(seed: int, height: int, width: int, kind: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "depth":
        return rng.integers(0, 65536, (height, width), np.uint16)
    return rng.integers(0, 256, (height, width, 3) if kind == "rgb" else (height, width), np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 99), height=HEIGHTS, width=st.integers(1, 40), kind=st.sampled_from(["rgb", "grey", "depth"])
)
def test_what_is_written_is_read_here_and_by_others(seed, height, width, kind):
    pixels = pixels_of(seed, height, width, kind)
    data = png.encode(pixels)
    np.testing.assert_array_equal(by_opencv(data), pixels)
    again = png.decode_own(data)
    assert again is not None
    assert again.dtype == pixels.dtype
    np.testing.assert_array_equal(again, pixels)


def test_a_reader_with_no_more_memory_than_the_stream_asks_for_can_inflate_it():
    picture = np.tile(pixels_of(1, 3, 700, "rgb"), (40, 1, 1))  # what repeats is further away than the window reaches
    chunks = dict(png.chunks(png.encode(picture)))
    inflater = zlib.decompressobj(9)  # 512 bytes
    assert len(inflater.decompress(chunks[b"IDAT"])) == 120 * (1 + 700 * 3)
    assert inflater.eof


@pytest.mark.parametrize("step", [(slice(None), slice(None, None, 2)), (slice(None, None, -1), slice(None))])
def test_views_of_other_arrays_are_written_too(step):
    depth = pixels_of(0, 20, 30, "depth")
    np.testing.assert_array_equal(by_opencv(png.encode(depth[step])), depth[step])


def test_depth_in_the_other_byte_order():
    depth = pixels_of(0, 5, 6, "depth")
    assert png.encode(depth.astype(">u2")) == png.encode(depth)


def filtered_png(
    rows: bytes, *, width: int, height: int, kinds: tuple[bytes, ...] = (b"IDAT",), stream: bytes | None = None
) -> bytes:
    """A grey PNG with the given filtered rows, its pixel stream divided among ``kinds``."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    stream = zlib.compress(rows) if stream is None else stream
    parts = [stream[k * len(stream) // len(kinds) : (k + 1) * len(stream) // len(kinds)] for k in range(len(kinds))]
    bodies = b"".join(chunk(kind, part) for kind, part in zip(kinds, parts, strict=True))
    return png.SIGNATURE + chunk(b"IHDR", header) + bodies + chunk(b"IEND", b"")


ABOVE = b"".join(bytes([2, *range(9)]) for _ in range(4))
OTHERS = {
    "no prediction": filtered_png(ABOVE.replace(b"\x02\x00", b"\x00\x00"), width=9, height=4),
    "one row otherwise": filtered_png(ABOVE[:-10] + b"\x04" + ABOVE[-9:], width=9, height=4),
    "two parts": filtered_png(ABOVE, width=9, height=4, kinds=(b"IDAT", b"IDAT")),
    "16-bit colour": cv2.imencode(".png", np.ones((4, 5, 3), np.uint16))[1].tobytes(),
    "palette": cv2.imencode(".png", np.eye(9, dtype=np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_png_written_otherwise_is_left_to_a_general_decoder(name):
    assert by_opencv(OTHERS[name]) is not None
    assert png.decode_own(OTHERS[name]) is None


def test_the_plain_example_is_read():
    expected = np.cumsum(np.tile(np.arange(9, dtype=np.uint8), (4, 1)), axis=0)
    np.testing.assert_array_equal(png.decode_own(filtered_png(ABOVE, width=9, height=4)), expected)


@pytest.mark.parametrize(("rows", "found"), [(ABOVE[:-1], "39 bytes"), (ABOVE + b"\0", "more")])
def test_another_number_of_pixels_than_the_header_says(rows, found):
    with pytest.raises(FormatError, match=f"expected 40 bytes of pixels.*found {found}"):
        png.decode_own(filtered_png(rows, width=9, height=4))


def test_a_stream_that_cannot_be_inflated():
    stream = bytearray(zlib.compress(ABOVE))
    stream[2] = 0xFF  # a block type that deflate does not have
    with pytest.raises(FormatError, match="cannot be inflated"):
        png.decode_own(filtered_png(ABOVE, width=9, height=4, stream=bytes(stream)))


def test_a_wrong_check_sum():
    data = bytearray(filtered_png(ABOVE, width=9, height=4))
    data[-17] ^= 1  # the last byte of the stream's chunk before its sum
    with pytest.raises(FormatError, match="a wrong check sum"):
        png.decode_own(bytes(data))


def test_a_small_header_with_a_huge_stream_takes_little_memory():
    data = filtered_png(bytes([2]) + bytes(50_000_000), width=9, height=4)

    def read(content: bytes) -> None:
        with pytest.raises(FormatError, match="found more"):
            png.decode_own(content)

    assert peak_memory(read, data) < 4 << 20


NOISE = np.random.default_rng(0).integers(0, 5, 4 * 10, np.uint8).tobytes()


def test_pixels_for_a_general_decoder_are_the_same_ones():
    for name, data in OTHERS.items():
        stored = png.with_stored_pixels(data)
        np.testing.assert_array_equal(by_opencv(stored), by_opencv(data), err_msg=name)
        list(png.chunks(stored))  # every check sum is right


@pytest.mark.parametrize("rows", [NOISE[:-1], NOISE[:3]])
def test_pixels_that_end_early_are_refused_before_a_decoder_sees_them(rows):
    with pytest.raises(FormatError, match=f"expected 40 bytes of pixels.*found {len(rows)} bytes"):
        png.with_stored_pixels(filtered_png(rows, width=9, height=4))


def test_bytes_after_the_last_pixel_are_cut_off_for_a_general_decoder():
    stored = png.with_stored_pixels(filtered_png(NOISE + bytes(50_000_000), width=9, height=4))
    assert len(stored) < 200


def test_interlaced_pictures_are_left_to_the_decoder():
    data = bytearray(OTHERS["no prediction"])
    data[28] = 1
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    assert png.with_stored_pixels(bytes(data)) == bytes(data)
