from __future__ import annotations

import shutil

import numpy as np
import pytest
from tiny_training import tiny_config, write_telling_data

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import make_folds, write_folds
from fer_train.metrics.summary import gather_predictions, summarise
from fer_train.report.html_report import write_report
from fer_train.training.fold import FoldResult
from fer_train.training.run_folder import RunFolder, history_to_csv


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
def report(tmp_path_factory):
    """The page of a run whose predictions were made up, so that no training is needed."""
    folder = tmp_path_factory.mktemp("report")
    path = write_telling_data(folder / "global.h5", subjects=6)
    config = tiny_config()
    run = RunFolder.create(folder / "run", config=config)
    rng = np.random.default_rng(0)
    with DatasetFile.open(path) as data:
        manifest = make_folds(data, folds=2)
        write_folds(manifest, run.folds_file, data=data)
        results = []
        for index, fold in enumerate(manifest.folds):
            labels = data.labels[data.rows_of(fold.val)]
            probabilities = rng.dirichlet(np.ones(7), len(labels)) + 0.2 * np.eye(7)[labels]
            probabilities /= probabilities.sum(axis=1, keepdims=True)
            history = made_up_history()
            results.append(
                FoldResult(
                    index=index,
                    ids=fold.val,
                    labels=labels,
                    probabilities=probabilities,
                    loss=1.0,
                    history=history,
                    train_samples=len(fold.train),
                )
            )
            run.fold(index).mkdir()
            (run.fold(index) / "history.csv").write_text(history_to_csv(history), encoding="utf-8")
        predictions = gather_predictions(results, classes=manifest.classes)
        run.write_predictions(predictions)
        run.write_json("environment.json", {"time": "2026-01-01T00:00:00+00:00", "device": {"type": "cpu"}})
        summary = summarise(results, predictions=predictions, manifest=manifest, data=data, config=config)
        run.write_json("summary.json", summary)
        write_report(run, data=data)
    return run


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium with chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield session
    session.quit()


@pytest.mark.slow
def test_the_page_shows_its_figures_and_fits_a_phone(report, browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    browser.get(report.report.as_uri())
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(widths) >= 4
    assert all(width > 300 for width in widths)
    # the page itself does not scroll sideways; wide tables and figures scroll inside their own box
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    resources = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in resources if not name.startswith("data:")] == []
    headline = browser.find_element("id", "overall_accuracy").text
    assert f"{report.read_summary()['overall_accuracy']['mean']:.1f} ±" in headline


def test_the_worst_mistakes_are_the_most_confident(report):
    from fer_train.report.html_report import worst_mistakes

    predictions = report.read_predictions()
    with DatasetFile.open(report.path.parent / "global.h5") as data:
        mistakes = worst_mistakes(predictions, data=data, count=3)
    confidences = [mistake.probability for mistake in mistakes]
    assert confidences == sorted(confidences, reverse=True)
    assert all(mistake.truth != mistake.predicted for mistake in mistakes)
