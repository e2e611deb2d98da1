"""The class order and the class sets: the one place that knows which label number means what."""

from __future__ import annotations

from typing import Final, Literal, get_args

Emotion = Literal["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
EMOTIONS: Final[tuple[str, ...]] = get_args(Emotion)
"""The default classes of a file, in label order; the file itself says which it has."""

EIGHT: Final[tuple[str, ...]] = (*EMOTIONS, "contempt")
"""As CK+, AffectNet and FER+ have them."""

CLASS_SETS: Final[dict[str, tuple[str, ...]]] = {
    "seven": EMOTIONS,
    # the selection of the CalD3r/MenD3s paper
    "six-without-surprise": tuple(name for name in EMOTIONS if name != "surprise"),
    # the selection of every BU-3DFE paper
    "six-without-neutral": tuple(name for name in EMOTIONS if name != "neutral"),
    "eight": EIGHT,
}

LABEL_SOURCES: Final[tuple[str, ...]] = ("posed", "elicited", "action-unit")
"""How a sample came by its label: asked to pose it, provoked to feel it, or derived from an action unit."""
