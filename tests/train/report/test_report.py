"""The page of a run: what it shows, that it needs no other file, and what it does where it cannot be drawn."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from tiny_training import untrained_run, write_telling_data

from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics import registry
from fer_train.report import figures, results, sections
from fer_train.training.run_folder import history_to_csv

CPU = torch.device("cpu")


def made_up_history(epochs: int = 3, steps: int = 4) -> list[dict[str, float]]:
    """A history with falling loss, validated at the end of every epoch."""
    rows = []
    for step in range(1, epochs * steps + 1):
        row = {"step": step, "epoch": step / steps, "rate_backbone": 1e-4, "rate_fusion": 1e-3}
        row |= {"train_loss": 2 / step, "train_accuracy": 100 - 80 / step}
        if step % steps == 0:
            row |= {"val_loss": 2.5 / step, "val_overall_accuracy": 60.0, "val_average_accuracy": 55.0}
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with networks that have learned nothing, and its report."""
    folder = tmp_path_factory.mktemp("report")
    data = write_telling_data(folder / "global.h5", subjects=6)
    run = untrained_run(folder / "run", data)
    for index in (0, 1):
        (run.fold(index) / "history.csv").write_text(history_to_csv(made_up_history()), encoding="utf-8")
    run.write_json("environment.json", {"time": "2026-01-01T00:00:00+00:00", "device": {"type": "cpu"}})
    opened = TrainedRun.open(run.path, data, device=CPU)
    results.write_report(opened)
    return opened


def page_of(trained) -> str:
    return trained.run.report.read_text(encoding="utf-8")


def test_the_page_has_its_sections_and_figures_in_order_and_needs_no_other_file(trained):
    page = page_of(trained)
    shown = re.findall(r"<h2>(.*?)</h2>", page)
    assert shown == [s.title for s in sections.SECTIONS if s.title in shown and s.title]
    assert {"Metrics", "Folds", "By dataset", "Confusion matrix", "Training", "Features", "Mistakes"} <= set(shown)
    assert page.count("data:image/png;base64,") >= 6
    assert "http://" not in page
    assert "https://" not in page
    assert str(trained.run.path) not in page
    for metric in registry.METRICS:
        value = trained.summary[metric.key]
        assert metric.title in page
        assert f"{metric.text(value['ci95'][0])} to {metric.text(value['ci95'][1])}" in page


def test_a_new_section_and_a_new_figure_are_one_entry_each(trained, monkeypatch):
    def count(trained):
        return sections.table(("people",), [(trained.summary["subjects"],)])

    def sizes(trained):
        figure = figures.new_figure(width=3, height=2)
        figure.subplots().bar(trained.summary["classes"], 1)
        return figure

    drawn = figures.ReportFigure(name="sizes", draw=sizes, title="Sizes")
    monkeypatch.setattr(figures, "FIGURES", (drawn,))
    shown = (
        sections.Section(title="People", html=count),
        sections.Section(title="Sizes", html=lambda trained: sections.picture(trained, figure=drawn)),
    )
    monkeypatch.setattr(results, "SECTIONS", shown)
    before = page_of(trained)
    results.write_report(trained)
    assert re.findall(r"<h2>(.*?)</h2>", page_of(trained)) == ["People", "Sizes"]
    assert "<td>6</td>" in page_of(trained)
    trained.run.report.write_text(before, encoding="utf-8")


def test_texts_of_the_data_are_no_html():
    cell = sections.table(("<b>",), [("<script>alert(1)</script>",)])
    assert "<script>" not in cell
    assert "&lt;script&gt;" in cell


def test_the_worst_mistakes_are_the_most_confident(trained):
    predictions, rows = trained.predictions, figures.worst_mistakes(trained, count=3)
    confidences = predictions.probabilities[rows].max(axis=1)
    assert (np.diff(confidences) <= 0).all()
    assert (predictions.predicted[rows] != predictions.labels[rows]).all()


@pytest.mark.slow
def test_the_page_shows_its_figures_and_fits_a_phone(trained, browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    browser.get(trained.run.report.as_uri())
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(widths) >= 4
    assert all(width > 300 for width in widths)
    # the page itself does not scroll sideways; wide tables and figures scroll inside their own box
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    resources = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in resources if not name.startswith("data:")] == []
    headline = browser.find_element("id", "overall_accuracy").text
    assert f"{trained.summary['overall_accuracy']['mean']:.1f} ±" in headline


BESIDE = {
    "majority": {"overall_accuracy": {"mean": 14.3, "std": 0.0, "ci95": None},
                 "average_accuracy": {"mean": 14.3, "std": 0.0, "ci95": None},
                 "difference": {"mean": -85.7, "ci95": [-85.7, -80.1]}},
    "landmarks": {"impossible": "none of the blocks landmarks-2d can be computed of this dataset, without landmarks"},
}  # fmt: skip
SEEDS = {"values": [42, 1042, 2042]} | {
    metric.key: {"mean": 50.0, "std": 12.3, "each": [40.0, 50.0, 60.0]} for metric in registry.METRICS
}


@pytest.mark.slow
def test_tables_fit_a_desktop_and_scroll_on_a_phone_alone(trained, browser, monkeypatch):
    monkeypatch.setitem(trained.summary, "baselines", BESIDE)
    monkeypatch.setitem(trained.summary, "seeds", SEEDS)
    before = page_of(trained)
    results.write_report(trained)
    fitting = "return [...document.querySelectorAll('.scroll')].map(box => box.scrollWidth <= box.clientWidth)"
    for width in (1100, 800):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(trained.run.report.as_uri())
        found = browser.execute_script(fitting)
        assert len(found) > 8
        assert all(found), f"{found} at {width} pixels"
    trained.run.report.write_text(before, encoding="utf-8")
