"""How far the places of the landmarks alone go: a linear discriminant, on the folds that a network was judged by.

    python -m benchmarks.landmark_baseline --data global.h5 [--run runs/demo]

MediaPipe finds 478 points in every picture; they are turned, scaled and moved so that the outer corners of the eyes
come to lie in fixed places, and a linear discriminant with shrunk covariance (Ledoit, Wolf 2004) learns the class from
them, fold by fold, from the training people alone. It is what a network has to beat before its pictures tell more than
an old method's points. With ``--run`` the difference to that run is printed, with an interval and a p-value over people
(as ``fer-train compare`` has them). A picture without a face counts as a mistake.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fer_prep.dataset.reader import DatasetFile
from fer_prep.faces.mediapipe_finder import MESH_INDEX
from fer_prep.faces.mediapipe_models import detect_faces
from fer_prep.folds.default import folds_path
from fer_prep.folds.splits import FoldManifest, read_folds
from fer_prep.landmark_names import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from fer_train.analysis.compare import confusions_by_person, paired_difference
from fer_train.training.run_folder import Predictions, RunFolder


def find_points(data: DatasetFile) -> NDArray[np.float64]:
    """(N, 956) the normalised points of every sample, row by row; NaN where MediaPipe finds no face."""
    points = np.full((data.n, 956), np.nan)
    for row in track(range(data.n), "landmarks"):
        meshes = detect_faces(data.read("rgb", [row])[0])
        if meshes:
            points[row] = turned_and_scaled(meshes[0]).ravel()
    return points


def turned_and_scaled(mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    """(478, 2) pixels → the same, with the outer corners of the eyes at (−1/2, 0) and (1/2, 0)."""
    right, left = mesh[MESH_INDEX[RIGHT_EYE_OUTER]], mesh[MESH_INDEX[LEFT_EYE_OUTER]]
    # as complex numbers a similarity is one division
    numbers = (mesh - (right + left) / 2) @ np.array([1, 1j])
    numbers /= (left - right) @ np.array([1, 1j])
    return np.stack([numbers.real, numbers.imag], axis=1)


def judge_folds(points: NDArray[np.float64], data: DatasetFile, manifest: FoldManifest) -> Predictions:
    """The discriminant's out-of-fold predictions; a sample without points gets a class that is not its own."""
    labels = data.labels_within(manifest.classes)
    found: NDArray[np.bool_] = np.isfinite(points[:, 0])
    rows_of_folds, probabilities = [], []
    for fold in manifest.folds:
        train, val = data.rows_of(fold.train), data.rows_of(fold.val)
        learnt = train[found[train]]
        discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(points[learnt], labels[learnt])
        judged = np.zeros((len(val), len(manifest.classes)))
        judged[np.arange(len(val)), (labels[val] + 1) % len(manifest.classes)] = 1.0
        seen = found[val]
        judged[np.ix_(seen, discriminant.classes_)] = discriminant.predict_proba(points[val[seen]])
        rows_of_folds.append(val)
        probabilities.append(judged)
    rows = np.concatenate(rows_of_folds)
    return Predictions(
        classes=manifest.classes,
        ids=tuple(data.ids[rows].tolist()),
        folds=np.repeat(np.arange(len(rows_of_folds)), [len(val) for val in rows_of_folds]),
        labels=labels[rows],
        probabilities=np.concatenate(probabilities),
    )


def describe(name: str, predictions: Predictions, data: DatasetFile) -> None:
    """Print mean and spread over the folds, every fold, and the datasets apart."""
    right = predictions.predicted == predictions.labels
    by_fold = [100 * float(right[predictions.folds == fold].mean()) for fold in np.unique(predictions.folds)]
    print(f"{name}: {np.mean(by_fold):.1f} ± {np.std(by_fold):.1f} %  ({' '.join(f'{each:.1f}' for each in by_fold)})")
    origin = data.column("dataset")[data.rows_of(predictions.ids)]
    for dataset in np.unique(origin):
        print(f"  {dataset}: {100 * right[origin == dataset].mean():.1f} % of {(origin == dataset).sum()}")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("global.h5"))
    parser.add_argument("--run", type=Path, action="append", default=[], help="a finished run on the same folds")
    chosen = parser.parse_args(arguments)
    with DatasetFile.open(chosen.data) as data:
        manifest = read_folds(chosen.run[0] / "folds.json" if chosen.run else folds_path(chosen.data), data=data)
        points = find_points(data)
        missed = int(np.isnan(points[:, 0]).sum())
        print(f"{data.n} samples, {len(np.unique(data.column('subject')))} people; no face found in {missed}")
        landmarks = judge_folds(points, data, manifest)
        describe("landmarks, linear discriminant", landmarks, data)
        ids = sorted(landmarks.ids)
        subjects = data.column("subject")[data.rows_of(ids)]
        for path in chosen.run:
            network = RunFolder.open(path).read_predictions()
            if sorted(network.ids) != ids:
                raise SystemExit(f"{path} judged other samples than the folds say")
            describe(path.name, network, data)
            by_person = [confusions_by_person(each, ids=ids, subjects=subjects) for each in (landmarks, network)]
            difference = paired_difference(*by_person, statistic="overall_accuracy", rng=np.random.default_rng(0))
            low, high = difference.ci95
            print(
                f"  {path.name} - landmarks: {difference.difference:+.1f} points (95 % over people {low:+.1f} to "
                f"{high:+.1f}, p {difference.p:.4f})"
            )


if __name__ == "__main__":
    main()
