"""The web page of a dataset, in a real browser without a network: counts, filters, thumbnails, detail view."""

from __future__ import annotations

import re

import numpy as np
import pytest
from dataset_factories import make_rows, write_global
from headless_browser import wait

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import make_folds
from fer_prep.inspection.browse import depth_picture, thumbnail_size, write_page

ROWS = make_rows({"bu3dfe": 20, "mend3s": 15}, repeats=2)  # 490 samples: two atlases
EVIL = "</script><script>document.title='taken over'</script><!--"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browse")
    rows = [dict(row) for row in ROWS]
    rows[3]["source_file"] = EVIL
    rows[3]["left_eye"] = (np.nan, np.nan)
    with DatasetFile.open(write_global(folder / "global.h5", rows)) as data:
        write_page(data, folder / "global.html", manifest=make_folds(data))
        write_page(data, folder / "again.html", manifest=make_folds(data))
    return folder / "global.html"


def test_the_same_bytes_again(page):
    assert page.read_bytes() == (page.parent / "again.html").read_bytes()


def test_nothing_is_loaded_from_elsewhere(page):
    text = page.read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", text)


def test_no_text_of_the_data_ends_its_block(page):
    assert EVIL not in page.read_text()


def test_the_page_of_the_thesis_size_stays_small_enough_to_open():
    assert [thumbnail_size(n) for n in (100, 12_118)] == [160, 56]


def test_depth_is_bright_where_near_and_grey_where_there_is_none():
    depth = np.tile(np.linspace(1, 5000, 32).astype(np.uint16), (32, 1))
    depth[:8] = 0
    picture = depth_picture(depth, size=32).astype(int)
    assert (picture[:8] == 90).all()
    assert picture[20, 2].sum() > picture[20, 29].sum()


@pytest.fixture
def opened(browser, page):
    browser.get(page.as_uri())
    wait(browser, "return document.body.dataset.ready === 'true'")
    return browser


def choose(browser, name, value):
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.onchange();", name, value
    )


def count(browser):
    return browser.find_element("id", "count").text


def class_counts(browser):
    return [button.text for button in browser.find_elements("css selector", "#classes button")]


def test_counts_follow_the_filters(opened):
    assert count(opened).startswith("490 of 490 samples, 35 subjects")
    choose(opened, "filter-dataset", "mend3s")
    assert count(opened).startswith("210 of 490 samples, 15 subjects")
    assert class_counts(opened)[0] == "anger 30"
    choose(opened, "filter-class", "anger")
    assert count(opened).startswith("30 of 490")
    assert class_counts(opened)[:2] == ["anger 30", "disgust 30"], "a class's count does not follow the class filter"
    opened.find_element("id", "clear").click()
    assert count(opened).startswith("490 of 490")


def test_filter_by_fold_subject_and_text(opened):
    choose(opened, "filter-fold", "3")
    assert count(opened).startswith("98 of 490 samples, 7 subjects")
    choose(opened, "filter-fold", "")
    choose(opened, "filter-subject", "bu3dfe:F002")
    assert count(opened).startswith("14 of 490 samples, 1 subjects")
    opened.find_element("id", "clear").click()
    opened.find_element("id", "filter-text").send_keys("m001_fear")
    assert count(opened).startswith("4 of 490 samples, 2 subjects")


def test_no_sample_is_said(opened):
    opened.find_element("id", "filter-text").send_keys("nobody")
    assert count(opened).startswith("0 of 490")
    assert opened.find_element("id", "empty").is_displayed()


def test_thumbnails_are_drawn_also_far_down(opened):
    script = """
        const canvas = document.getElementById('grid');
        if (canvas.dataset.complete !== 'true') return 0;
        const pixels = canvas.getContext('2d').getImageData(6, 40, 200, 60).data;
        const seen = new Set();
        for (let i = 0; i < pixels.length; i += 4) seen.add(pixels[i] * 65536 + pixels[i + 1] * 256 + pixels[i + 2]);
        return seen.size;"""
    wait(opened, f"return (() => {{{script}}})() > 200")
    opened.execute_script("const s = document.getElementById('scroll'); s.scrollTop = s.scrollHeight;")
    # The page draws on the scroll event, one frame later: until then it still shows, complete, what it showed before.
    wait(opened, "return atlases.has('rgb-1') && document.getElementById('scroll').scrollTop > 1000")
    wait(opened, f"return (() => {{{script}}})() > 200")


def test_the_detail_view_has_pictures_landmarks_and_provenance(opened):
    choose(opened, "filter-subject", ROWS[0]["subject"])
    wait(opened, "return document.getElementById('grid').dataset.complete === 'true'")
    opened.execute_script("open(0)")
    assert opened.find_element("id", "name").text.startswith(ROWS[0]["id"])
    facts = opened.find_element("id", "facts").text
    assert ROWS[0]["source_file"] in facts
    assert "label source posed" in facts
    # a green ring of radius 9 around the left eye: the centre of pixel (20, 12) of 32² in a picture of 640²
    on_ring = """
        const [r, g, b] = document.getElementById('big-rgb').getContext('2d').getImageData(418, 250, 1, 1).data;
        return g > 200 && r < 100 && b < 100;"""
    assert opened.execute_script(on_ring)
    opened.find_element("id", "landmarks").click()
    assert not opened.execute_script(on_ring)
    opened.find_element("id", "next").click()
    assert opened.find_element("id", "name").text.startswith(ROWS[1]["id"])


def test_on_a_phone_filters_are_folded_away_and_pictures_fill_the_width(browser, page):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        browser.get(page.as_uri())
        wait(browser, "return document.body.dataset.ready === 'true'")
        assert not browser.find_element("id", "filter-class").is_displayed()
        browser.find_element("css selector", "#panel summary").click()
        assert browser.find_element("id", "filter-class").is_displayed()
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.execute_script("return grid.width * grid.across > 0.9 * scroll.clientWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_text_and_unknown_points_are_only_shown(opened):
    opened.execute_script("open(3)")
    assert EVIL in opened.find_element("id", "facts").text
    assert "unknown, unknown" in opened.find_element("id", "facts").text
    assert opened.title == "global.h5"


def test_the_browser_has_nothing_to_complain_of(opened):
    assert [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"] == []
