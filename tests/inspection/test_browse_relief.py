"""The face in space on the browse page: turned by mouse or finger, with its landmarks; no network, no WebGL."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from dataset_factories import make_rows
from headless_browser import wait
from PIL import Image

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import EMOTIONS
from fer_prep.inspection.browse import write_page
from fer_prep.landmark_set import LandmarkSet

SIZE = 96
NOSE = (30.0, 48.0)
"""Column and row of the tip of a cone; one half of its picture is red, the other blue."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relief")
    rows = make_rows({"bu3dfe": 1}, emotions=("anger", "fear"))
    rows = [{**row, "mm_per_pixel": 2.0} for row in rows]
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    away = np.hypot(x - NOSE[0], y - NOSE[1])
    depth = np.where(away < 40, 1 + away * 200, 0).astype(np.uint16)
    rgb = np.where((x < NOSE[0])[..., None], (220, 30, 30), (30, 30, 220)).astype(np.uint8)
    writer = DatasetWriter(folder / "global.h5", n=2, size=SIZE, classes=EMOTIONS)
    for row in rows:
        writer.append(measure(row, rgb, depth))
    points = np.array([[NOSE], [[np.nan, np.nan]]], np.float32)
    writer.finish(settings={}, landmarks={"bu3dfe-83": LandmarkSet(names=("nose",), points_px=points)})
    with DatasetFile.open(folder / "global.h5") as data:
        write_page(data, folder / "page.html")
    return folder / "page.html"


@pytest.fixture
def opened(browser, page):
    browser.get(page.as_uri())
    wait(browser, "return document.body.dataset.ready === 'true'")
    browser.execute_script("open(0)")
    wait(browser, "return relief !== null && relief.row === 0")
    return browser


def relief(driver) -> np.ndarray:
    """(320, 320, 4) the canvas."""
    url = driver.execute_script("return document.getElementById('relief').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGBA")).astype(int)


def border(picture: np.ndarray) -> float:
    """The column where red turns into blue, in the row of the nose."""
    row = picture[160]
    red = np.flatnonzero((row[:, 0] > 150) & (row[:, 2] < 100) & (row[:, 3] == 255))
    return float(red.max())


def test_heights_are_read_back_in_the_picture_s_own_scale(opened):
    z, n = opened.execute_script("return [Array.from(relief.z, (v) => Number.isNaN(v) ? null : v), relief.n]")
    heights = np.array(z, float).reshape(n, n)
    column, row = (int(place * n / SIZE) for place in NOSE)
    known = heights[np.isfinite(heights)]
    # a cone of 40 pixels at 2 mm a pixel, 2 mm deep each: as deep as its radius, of 96 pixels a picture
    assert np.ptp(known) == pytest.approx(40 / SIZE, abs=0.04)
    assert heights[row, column] > np.quantile(known, 0.95)
    assert np.isnan(heights[2, n - 3])


def test_dragging_turns_the_face(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    opened.find_element("id", "landmarks").click()
    front = relief(opened)
    assert border(front) == pytest.approx(NOSE[0] / SIZE * 320, abs=4)
    canvas = opened.find_element("id", "relief")
    ActionChains(opened).click_and_hold(canvas).move_by_offset(40, 0).release().perform()
    yaw = opened.execute_script("return turned.yaw")
    assert yaw == pytest.approx(0.4, abs=0.05)
    # the tip is nearer than the middle, so it goes to the right when the face is turned to the right
    assert border(relief(opened)) > border(front) + 15
    opened.find_element("id", "frontal").click()
    np.testing.assert_array_equal(relief(opened), front)


def test_landmarks_lie_on_it_and_can_be_hidden(opened):
    column, row = (round(place / SIZE * 320) for place in NOSE)
    assert relief(opened)[row - 1 : row + 3, column - 1 : column + 3, 1].max() > 150, "light blue on red and blue"
    opened.find_element("id", "landmarks").click()
    assert relief(opened)[row - 1 : row + 3, column - 1 : column + 3, 1].max() < 100


@pytest.mark.parametrize("surface", ["depth", "shaded", "normals"])
def test_the_surface_can_be_shown_otherwise(opened, surface):
    before = relief(opened)
    opened.execute_script(
        "const s = document.getElementById('surface'); s.value = arguments[0]; s.onchange();", surface
    )
    after = relief(opened)
    np.testing.assert_array_equal(before[..., 3], after[..., 3])
    assert np.abs(before - after)[before[..., 3] > 0].mean() > 10


def test_on_a_phone_a_finger_turns_it(browser, page):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        browser.get(page.as_uri())
        wait(browser, "return document.body.dataset.ready === 'true'")
        browser.execute_script("open(0)")
        wait(browser, "return relief !== null")
        box = browser.execute_script(
            "const c = document.getElementById('relief'); c.scrollIntoView(); "
            "const b = c.getBoundingClientRect(); return [b.left, b.top, b.width];"
        )
        assert box[2] > 300
        x, y = box[0] + 100, box[1] + 100
        touch = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", touch)
        for step in range(1, 6):
            move = {"type": "touchMove", "touchPoints": [{"x": x + 8 * step, "y": y}]}
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", move)
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert browser.execute_script("return turned.yaw") > 0.2
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_browser_has_nothing_to_complain_of(opened):
    assert [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"] == []
