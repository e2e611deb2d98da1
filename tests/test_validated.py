"""What a structured file says is built into dataclasses, or the mistake is named by its key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

import pytest

from fer_prep.errors import FoldsError, SettingsError, UsageError
from fer_prep.validated import checked, read_json, read_toml


@dataclass(frozen=True, kw_only=True)
class Lens:
    kind: Literal["plain", "zoom"] = "plain"
    focal_px: float = 1.0
    range_mm: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Camera:
    name: str = "a"
    pictures: int = 0
    on: bool = False
    lens: Lens = field(default_factory=Lens)


def test_what_is_left_out_keeps_its_default():
    values = {"pictures": 2, "lens": {"focal_px": 3, "range_mm": [1, 2]}}
    assert checked(Camera, values) == Camera(pictures=2, lens=Lens(focal_px=3.0, range_mm=(1.0, 2.0)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"picturs": 1}, "no setting called 'picturs'; nearest: pictures"),
        ({"lens": {"focl_px": 1}}, "no setting called 'lens.focl_px'; nearest: lens.focal_px"),
        ({"lenz": {"focal_px": 1}}, "no setting called 'lenz'; nearest: lens"),
        ({"lens": 3}, "lens = 3: expected a table; found a whole number"),
        ({"pictures": "2"}, "pictures = '2': expected a whole number; found text"),
        ({"pictures": 2.0}, "pictures = 2.0: expected a whole number; found a number"),
        ({"pictures": True}, "pictures = True: expected a whole number; found true or false"),
        ({"on": 1}, "on = 1: expected true or false; found a whole number"),
        ({"name": None}, "name = None: expected text"),
        ({"lens": {"kind": "fish"}}, "lens.kind = 'fish': expected one of plain, zoom; found text"),
        ({"lens": {"range_mm": [1]}}, "lens.range_mm = [1]: expected more values"),
        ({"lens": {"range_mm": [1, "b"]}}, "lens.range_mm.1 = 'b': expected a number; found text"),
    ],
)
def test_a_mistake_is_named_by_its_key(values, said):
    with pytest.raises(UsageError) as caught:
        checked(Camera, values, error=UsageError)
    assert said in str(caught.value)


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "said"),
        [(b"a = ", "not valid TOML"), (b"a = " + b"[" * 100_000, "nested too deeply"), (b"\xff", "not UTF-8 text")],
    )
    def test_toml_that_is_none(self, tmp_path, content, said):
        path = tmp_path / "a.toml"
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=said) as caught:
            read_toml(path)
        assert caught.value.path == path

    @pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"a": nope}'])
    def test_json_that_is_none(self, tmp_path, content):
        path = tmp_path / "a.json"
        path.write_bytes(content)
        with pytest.raises(FoldsError, match="not valid JSON"):
            read_json(path, error=FoldsError)

    def test_what_is_too_large_is_not_read(self, tmp_path):
        path = tmp_path / "a.json"
        with path.open("wb") as stream:
            stream.truncate(1 << 40)  # a terabyte that takes no room
        with pytest.raises(SettingsError, match="at most 67108864 bytes"):
            read_json(path)

    @pytest.mark.parametrize("kind", ["fifo", "folder"])
    def test_what_is_no_file_is_not_waited_for(self, tmp_path, kind):
        path = tmp_path / "a.toml"
        os.mkfifo(path) if kind == "fifo" else path.mkdir()
        with pytest.raises(SettingsError, match="expected a file"):
            read_toml(path)

    def test_a_wrong_value_is_named_with_file_key_and_what_was_found(self, tmp_path):
        with pytest.raises(FoldsError) as caught:
            checked(Camera, {"lens": {"focal_px": "far"}}, path=tmp_path / "a.json", error=FoldsError)
        assert str(caught.value) == f"{tmp_path / 'a.json'}: lens.focal_px = 'far': expected a number; found text"
