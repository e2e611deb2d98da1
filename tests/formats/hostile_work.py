"""Files of at most a megabyte that ask for much work, shown to every reader; prints what it took as JSON."""

from __future__ import annotations

import io
import json
import struct
import sys
import tempfile
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from fer_prep.csv_tables import read_table
from fer_prep.errors import FormatError
from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.bnt import read_bnt
from fer_prep.formats.bosphorus_landmarks import read_lm2, read_lm3
from fer_prep.formats.facs_scores import read_facs_scores
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.formats.vrml import read_vrml

SIZE = 1 << 20
BRACKETS = 99_000
SET = b"geometry IndexedFaceSet { coord Coordinate { point [0 0 0 1 0 0 0 1 0] } coordIndex [0 1 2 -1] } "


def full(piece: bytes, head: bytes = b"") -> bytes:
    """A megabyte of it."""
    return head + piece * ((SIZE - len(head)) // len(piece))


def nested_use(depth: int, fan: int) -> bytes:
    """Groups that use the one before ``fan`` times."""
    text = b"DEF n0 Group { children [ %b ] }\n" % SET
    for k in range(1, depth):
        text += b"DEF n%d Group { children [ %b ] }\n" % (k, b" ".join([b"USE n%d" % (k - 1)] * fan))
    return text


POINTS = b"DEF c Coordinate { point [ " + b"1 2 3 4 5 6 9 8 7 " * 20_000 + b" ] } "
VRML = {
    "lists": b"[" * BRACKETS,
    "nodes in nodes": b"a{" * BRACKETS,
    "nodes": b"a{}" * (BRACKETS // 2),
    "words and nodes": b"x a{}" * (BRACKETS // 2),
    "prototypes": b"x PROTO N [] {} " * (BRACKETS // 4),
    "prototypes with nodes": b"PROTO N [ field a{} ] {} " * (BRACKETS // 6),
    "lists of nodes": b"[a{" * (BRACKETS // 2),
    "arrays": b"x a[1]" * (BRACKETS // 2),
    "names": b"".join(b"DEF d%d a{} " % k for k in range(BRACKETS // 2)),
    "use in use": nested_use(9, 10),
    "narrow use in use": nested_use(60, 2),
    "use of many": b"DEF t Group { " + b"Transform { } " * 19_000 + b"} Group { " + b"USE t " * 1000 + b"}",
    "use of words": b"DEF t Transform { "
    + b"w " * 200_000
    + b"children [ Group { } ] } "
    + b"Group { USE t } " * 15_000,
    "moved use": nested_use(20, 2).replace(b"Group {", b"Transform { translation 1 2 3 rotation 0 0 1 1"),
    "use of points": POINTS + b"geometry IndexedFaceSet { coord USE c coordIndex [0 1 2 -1] } " * 900,
    "sets": full(SET),
    "deep transforms": b"Transform { translation 1 2 3 children [ " * 19_000 + SET + b"] } " * 19_000,
    "strings": full(b'"" '),
    "open string": full(b'"\\'),
    "comments": full(b"#\n"),
    "words": full(b"w "),
    "used words": b"DEF t Transform { " + b"w " * 200_000 + b"} " + b"USE t " * 80_000,
    "no number": b"IndexedFaceSet { coord Coordinate { point [ " + b"1 " * 500_000 + b" x ] } coordIndex [0 1 2 -1] }",
    "one polygon": SET.replace(b"0 1 2 -1", b"0 1 2 " * 170_000),
    "corners": SET.replace(b"0 1 2 -1", b"0 -1 " * 200_000),
}
TEXT = {
    "blanks": full(b" "),
    "lines": full(b"\n"),
    "digits": full(b"1"),
    "numbers": full(b"1 2 3 4\n"),
    "letters": full(b"a"),
    "quotes": full(b'"'),
    "commas": full(b","),
    "cells": full(b"1,", b"a,b\n"),
    "count": full(b"9 Landmarks:\n"),
    "many landmarks": full(b"x\n1 2 3\n", b"99999 landmarks:\n"),
    "scan": full(b"_A1", b"bs000"),
    "codes": full(b"12D ", b"bs000_N_N_0 "),
    "no text": full(b"\xff\xfe\x00"),
}


def png(side: int, *, kind: int, channels: int, bits: int = 8, chunks: bytes = b"") -> bytes:
    """A black PNG."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = b"\0" + bytes((side * channels * bits + 7) // 8)
    deflate = zlib.compressobj(9)
    body = b"".join(deflate.compress(row) for _ in range(side)) + deflate.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunks + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg(side: int, *, progressive: bool, more_scans: int = 0) -> bytes:
    """A black JPEG, its last scan repeated."""
    stream = io.BytesIO()
    Image.new("RGB", (side, side)).save(stream, "JPEG", progressive=progressive)
    data = stream.getvalue()
    return data[:-2] + data[data.rfind(b"\xff\xda") : -2] * more_scans + data[-2:]


def bmp_of_runs(side: int) -> bytes:
    """A BMP of 8 bits a pixel, compressed by run lengths."""
    body = full(b"\xff\x01")
    sizes = (54 + 1024 + len(body), 0, 0, 54 + 1024, 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0)
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", *sizes) + bytes(1024) + body


LARGEST = 4890
EMPTY_TEXT = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
PICTURES = {
    "png": png(LARGEST, kind=2, channels=3),
    "png with alpha": png(LARGEST, kind=6, channels=4, bits=16),
    "grey png": png(LARGEST, kind=0, channels=1, bits=16),
    "png of one bit": png(LARGEST, kind=0, channels=1, bits=1),
    "png of chunks": png(9, kind=2, channels=3, chunks=EMPTY_TEXT * (SIZE // 12)),
    "jpeg": jpeg(LARGEST, progressive=False),
    "progressive jpeg": jpeg(LARGEST, progressive=True, more_scans=10),
    "bmp of runs": bmp_of_runs(LARGEST),
    "noise": np.random.default_rng(0).bytes(SIZE),
}
GRIDS = {
    "wide grid": struct.pack("<HHdH", 65535, 65535, 0.0, 0) + struct.pack("<I", 5 * 65535),
    "grid": struct.pack("<HHdH", 160, 160, 0.0, 0) + struct.pack("<I", 5 * 160 * 160) + bytes(8 * 5 * 160 * 160),
}


def seconds(reader, data) -> float:
    """Processor time, whatever comes of it."""
    start = time.process_time()
    with suppress(FormatError):
        reader(data)
    return time.process_time() - start


def main() -> None:
    """Show everything to everybody, twice."""
    took: dict[str, float] = {}
    binary = {**PICTURES, **GRIDS}
    readers = {
        read_vrml: {**VRML, **TEXT},
        **dict.fromkeys((read_bnd, read_lm2, read_lm3, read_facs_scores), TEXT),
        **dict.fromkeys((read_rgb, read_depth, read_bnt), binary),
    }
    for reader, cases in readers.items():
        for name, data in cases.items():
            took[f"{reader.__name__}: {name}"] = min(seconds(reader, data) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        for name, data in TEXT.items():
            path = Path(folder, "table.csv")
            path.write_bytes(data)
            took[f"table: {name}"] = min(seconds(read_table, path) for _ in range(2))
    # getrusage would count the process that started this one
    most = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10
    json.dump({"seconds": took, "megabytes": most}, sys.stdout)


if __name__ == "__main__":
    main()
