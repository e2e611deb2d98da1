"""Trained networks at work: the one way from what is stored to what they say, for every command after training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.progress import Progress, silent
from fer_train.classical.landmarks import EYE_CORNERS, METRIC, PLACES, as_places, landmarks_of
from fer_train.data.cameras import Cameras
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import Images, images_of, to_floats
from fer_train.data.inputs import INPUTS, modalities_of
from fer_train.inference.pictures import refuse_unprepared
from fer_train.models.answers import answer
from fer_train.models.model_file import ModelDescription, load_model, model_folders
from fer_train.models.network import ExpressionNetwork

BATCH: Final = 64
ARRAYS: Final = {"rgb": ("(B, H, W, 3) of uint8", np.uint8, 4), "depth": ("(B, H, W) of uint16", np.uint16, 3)}
"""Modality → how its stored arrays are described, their type, and their number of axes."""


@final
@dataclass(frozen=True, kw_only=True)
class Predictor:
    """One or more trained networks that share classes, inputs and size, in evaluation mode; their probabilities are
    averaged.
    """

    networks: tuple[ExpressionNetwork, ...]
    descriptions: tuple[ModelDescription, ...]
    """Of each network: they differ in normalisation and people alone."""
    device: torch.device

    @classmethod
    def load(cls, path: Path, *, device: torch.device) -> Predictor:
        """From the folder of a fold or of an export, or of a run with all its folds."""
        folders = model_folders(path)
        networks, descriptions = zip(*(load_model(folder, device=device) for folder in folders), strict=True)
        for folder, description in zip(folders, descriptions, strict=True):
            description.normalisation.to(device)
            if _shape(description) != _shape(descriptions[0]):
                raise UsageError("has other classes, inputs or another input size than the other folds", path=folder)
        return cls(networks=networks, descriptions=descriptions, device=device)

    @property
    def description(self) -> ModelDescription:
        """Of the first network."""
        return self.descriptions[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """What it tells apart, in the order of its probabilities."""
        return self.description.classes

    @property
    def modalities(self) -> tuple[str, ...]:
        """What must be stored of a sample for the networks' inputs."""
        return modalities_of(self.description.model.input_names)

    def open_data(self, path: Path, *, progress: Progress = silent) -> ImageDataset:
        """A dataset at the networks' size; one that lacks a class or a modality of theirs is refused."""
        description = self.description
        with DatasetFile.open(path) as file:
            missing = [name for name in self.classes if name not in file.classes]
        if missing:
            raise UsageError(
                f"the network tells {', '.join(missing)} apart, which this dataset does not have among its classes",
                path=path,
            )
        return ImageDataset(
            path,
            inputs=description.model.input_names,
            image_size=description.image_size,
            equalise=description.equalise_luma,
            classes=self.classes,
            device=self.device,
            progress=progress,
        )

    def prepare(self, stored: Mapping[str, NDArray[Any]]) -> Images:
        """Prepared pictures as ``fer-prep`` stores them → modality → (B, C, S, S) in [0, 1] on the device.

        ``stored``: ``rgb`` (B, H, W, 3) u1, ``depth`` (B, H, W) u2; what the networks do not look at may be absent.
        MediaPipe's landmarks, ``points_px`` (B, 468, 2) and ``points_mm`` (B, 468, 3), go along where they are known,
        and so does what is known of the camera, columns of the table of samples (``data.cameras``). Where neither says
        how large a pixel is, the eyes among the landmarks do.
        """
        for name in self.modalities:
            words, kind, axes = ARRAYS[name]
            if name not in stored:
                needed, given = " and ".join(self.modalities), " and ".join(stored) or "nothing"
                raise UsageError(f"this network looks at {needed}; {name} is missing, given: {given}")
            array = stored[name]
            if array.dtype != kind or array.ndim != axes or (axes == 4 and array.shape[3] != 3):
                raise UsageError(expected=f"{name} {words}", found=f"{array.shape} of {array.dtype}")
            if array.shape[:3] != stored[self.modalities[0]].shape[:3]:
                raise UsageError(
                    expected=f"{name} of the pictures' shape, {stored[self.modalities[0]].shape[:3]}",
                    found=f"{array.shape[:3]}",
                )
        refuse_unprepared({name: stored[name] for name in self.modalities})
        images = images_of(
            {name: stored[name] for name in self.modalities},
            image_size=self.description.image_size,
            equalise=self.description.equalise_luma,
            device=self.device,
        )
        if self.is_metric:
            columns = dict(stored)
            for name, corners in zip(("right_eye", "left_eye"), EYE_CORNERS, strict=True):
                if name not in stored and "points_px" in stored:
                    columns[name] = stored["points_px"][:, list(corners)].mean(axis=1)
            cameras = Cameras.of_pictures(columns, stored["depth"])
            beside = cameras.at(self.description.image_size, stored_px=stored["depth"].shape[2])
            images |= {name: values.to(self.device) for name, values in beside.items()}
        if "points_px" in stored:
            height, width = stored[self.modalities[0]].shape[1:3]
            images[PLACES] = as_places(stored["points_px"], size=(width, height)).to(self.device)
        if "points_mm" in stored:
            images[METRIC] = torch.from_numpy(stored["points_mm"].astype(np.float32)).to(self.device)
        return images

    @property
    def is_metric(self) -> bool:
        """Whether the networks look at what is computed from metric depth."""
        return any(INPUTS[name].is_metric for name in self.description.model.input_names)

    @property
    def wants_landmarks(self) -> bool:
        """Whether the networks look at landmarks beside the images."""
        return self.networks[0].fitted or self.networks[0].classical is not None

    def images(self, data: ImageDataset, rows: NDArray[np.int64]) -> Iterator[Images]:
        """Batches of the samples in ``rows`` (n,), as ``prepare`` makes them."""
        plan = torch.from_numpy(rows).split(BATCH)
        for part, stored in zip(plan, data.batches(plan), strict=True):
            yield to_floats(stored) | (landmarks_of(data.file, part.numpy()) if self.wants_landmarks else {})

    def inputs(self, images: Images, *, network: int = 0) -> dict[str, Tensor]:
        """What a network takes: input → (B, C, S, S), normalised as its training fold wants it."""
        return dict(images) if self.networks[network].fitted else self.descriptions[network].normalisation(images)

    def strangers_to(self, people: NDArray[np.str_]) -> NDArray[np.bool_]:
        """(F, n): which of the F networks has not learned from whom of ``people`` (n,)."""
        return np.stack([~np.isin(people, description.people) for description in self.descriptions])

    @torch.no_grad()
    def probabilities(self, images: Images, *, voters: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """(B, K): the mean of the networks', or of those that ``voters`` (F, B) lets judge a sample."""
        answers = [
            answer(network, images, normalisation=one.normalisation, settings=one.model).double().softmax(dim=1)
            for network, one in zip(self.networks, self.descriptions, strict=True)
        ]
        votes = torch.stack(answers).cpu().numpy()  # (F, B, K)
        if voters is None:
            return votes.mean(axis=0)
        return np.einsum("fbk,fb->bk", votes, voters / voters.sum(axis=0))

    @torch.no_grad()
    def features(self, images: Images) -> NDArray[np.float32]:
        """(B, D) what the classifying layers get; of one network: the spaces of several have nothing in common."""
        if len(self.networks) != 1:
            raise UsageError(f"features are of one fold's network; this predictor has {len(self.networks)}")
        return self.networks[0](self.inputs(images)).features.float().cpu().numpy()

    def judge(
        self,
        data: ImageDataset,
        rows: NDArray[np.int64],
        *,
        voters: NDArray[np.bool_] | None = None,
        progress: Progress = silent,
    ) -> NDArray[np.float64]:
        """(n, K) probabilities of the samples in ``rows`` (n,); ``voters`` (F, n) as in ``probabilities``."""
        found: list[NDArray[np.float64]] = []
        with progress("predicting", total=len(rows)) as advance:
            for start, images in zip(range(0, len(rows), BATCH), self.images(data, rows), strict=True):
                chosen = None if voters is None else voters[:, start : start + BATCH]
                found.append(self.probabilities(images, voters=chosen))
                advance(len(found[-1]))
        return np.concatenate(found)


def _shape(description: ModelDescription) -> tuple[object, ...]:
    return description.classes, description.image_size, description.equalise_luma, description.model.inputs
