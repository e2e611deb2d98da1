"""Pictures: what is whole reads, what is damaged is refused before a decoder guesses."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hostile_bytes import mutations, peak_memory, reads_or_refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_prep.errors import FormatError
from fer_prep.formats.images import read_depth, read_rgb, write_image

RGB = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
DEPTH = np.random.default_rng(1).integers(0, 65536, (9, 7), np.uint16)


def bmp_bytes(rgb: np.ndarray) -> bytes:
    return write_image(rgb, kind="bmp")


def jpeg_bytes(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@pytest.mark.parametrize("encode", [write_image, bmp_bytes])
def test_colour_comes_back_as_it_was(encode):
    np.testing.assert_array_equal(read_rgb(encode(RGB)), RGB)


def test_jpeg_is_read_too():
    smooth = np.full((16, 24, 3), (200, 120, 40), np.uint8)
    assert np.abs(read_rgb(jpeg_bytes(smooth)).astype(int) - smooth).max() <= 4


def test_depth_comes_back_as_it_was():
    np.testing.assert_array_equal(read_depth(write_image(DEPTH)), DEPTH)


def test_the_same_pixels_give_the_same_bytes():
    assert write_image(RGB) == write_image(RGB.copy())


def test_grey_and_alpha_become_three_channels():
    grey = cv2.imencode(".png", RGB[..., 0])[1].tobytes()
    np.testing.assert_array_equal(read_rgb(grey), np.repeat(RGB[..., :1], 3, axis=2))
    with_alpha = cv2.imencode(".png", np.dstack([RGB[..., ::-1], RGB[..., 0]]))[1].tobytes()
    np.testing.assert_array_equal(read_rgb(with_alpha), RGB)


def test_a_bmp_may_be_stored_top_down():
    data = bytearray(bmp_bytes(RGB))
    rows = np.frombuffer(bytes(data[54:]), np.uint8).reshape(9, -1)[::-1]
    data[54:] = rows.tobytes()
    struct.pack_into("<i", data, 22, -9)
    np.testing.assert_array_equal(read_rgb(bytes(data)), RGB)


@pytest.mark.parametrize("data", [write_image(RGB), write_image(RGB[..., 0]), bmp_bytes(RGB), jpeg_bytes(RGB)])
def test_depth_must_be_16_bits_of_one_channel(data):
    with pytest.raises(FormatError, match="16-bit single-channel PNG"):
        read_depth(data)


@pytest.mark.parametrize("data", [write_image(RGB), bmp_bytes(RGB), jpeg_bytes(RGB)], ids=["png", "bmp", "jpeg"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_picture_that_breaks_off_is_refused(data, share):
    with pytest.raises(FormatError):
        read_rgb(data[: int(len(data) * share)])


def damaged(data: bytes) -> dict[str, bytes]:
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 4
    return {"half": data[: len(data) // 2], "end cut": data[:-20], "flipped bit": bytes(flipped)}


@pytest.mark.parametrize("how", ["half", "end cut", "flipped bit"])
@pytest.mark.parametrize("by", ["this program", "OpenCV"])
def test_a_damaged_png_is_refused(how, by):
    x, y = np.meshgrid(np.arange(90), np.arange(80))
    depth = (20_000 + 40 * x + 3 * y).astype(np.uint16)
    rgb = np.stack([x + y, 2 * x, 3 * y], axis=-1).astype(np.uint8)
    for pixels, reader in ((rgb, read_rgb), (depth, read_depth)):
        data = write_image(pixels) if by == "this program" else cv2.imencode(".png", pixels)[1].tobytes()
        with pytest.raises(FormatError, match="undamaged PNG"):
            reader(damaged(data)[how])


def test_sixteen_bits_are_no_colours():
    with pytest.raises(FormatError, match="8 bits a channel"):
        read_rgb(write_image(DEPTH))


def test_an_orientation_tag_is_not_applied():
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    Image.fromarray(RGB).save(stream, "JPEG", exif=exif)
    assert read_rgb(stream.getvalue()).shape == RGB.shape


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bmp_claiming(width: int, height: int) -> bytes:
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(60_000, 60_000),
        png_claiming(40_000, 20),
        png_claiming(0, 5),
        bmp_claiming(60_000, 60_000),
        bmp_claiming(30_000, -(2**31)),
    ],
)
def test_a_header_is_not_trusted_with_memory(data):
    with pytest.raises(FormatError):
        read_rgb(data)
    assert peak_memory(read_rgb, data) < 16 << 20


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(50), b"BM", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(FormatError):
        read_rgb(data)


def test_only_pictures_can_be_encoded():
    with pytest.raises(FormatError):
        write_image(RGB.astype(float))  # type: ignore[arg-type]


def test_a_jpeg_of_hundreds_of_scans_is_refused():
    data = jpeg_bytes(RGB)
    with pytest.raises(FormatError, match="at most 20 scans"):
        read_rgb(data[:-2] + b"\xff\xda" * 40 + data[-2:])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_every_kind_of_png_reads_as_pillow_reads_it(mode):
    rng, stream = np.random.default_rng(3), io.BytesIO()
    deep = Image.fromarray(rng.integers(0, 65536, (21, 13), np.uint16))
    image = deep if mode == "I;16" else Image.fromarray(rng.integers(0, 256, (21, 13), np.uint8)).convert(mode)
    image.save(stream, "PNG")
    if mode == "I;16":
        np.testing.assert_array_equal(read_depth(stream.getvalue()), np.asarray(image))
    else:
        np.testing.assert_array_equal(read_rgb(stream.getvalue()), np.asarray(image.convert("RGBA"))[..., :3])


@pytest.mark.parametrize("reader", [read_rgb, read_depth])
@settings(max_examples=100, deadline=None)
@given(
    data=st.builds(
        bytes.__add__, st.sampled_from([b"", b"BM", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"]), st.binary(max_size=150)
    )
)
def test_any_bytes_read_or_are_refused(reader, data):
    reads_or_refuses(reader, data)


@pytest.mark.parametrize("original", [write_image(RGB), bmp_bytes(RGB), jpeg_bytes(RGB)], ids=["png", "bmp", "jpeg"])
def test_mutated_pictures_read_or_are_refused(original):
    for data in mutations(original, rng=np.random.default_rng(0), rounds=40):
        picture = reads_or_refuses(read_rgb, data)
        if isinstance(picture, np.ndarray):
            assert picture.dtype == np.uint8
            assert picture.ndim == 3


def test_mutated_depth_reads_or_is_refused():
    for data in mutations(write_image(DEPTH), rng=np.random.default_rng(0), rounds=40):
        reads_or_refuses(read_depth, data)
