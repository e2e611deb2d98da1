"""The class order and the class sets: the one place that knows which label number means what."""

from __future__ import annotations

from typing import Final

EMOTIONS: Final[tuple[str, ...]] = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
)
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


def label_of(emotion: str) -> int:
    """Return the label number of an emotion name.

    >>> label_of("neutral")
    4
    """
    try:
        return EMOTIONS.index(emotion)
    except ValueError:
        raise ValueError(f"unknown emotion {emotion!r}; legal: {', '.join(EMOTIONS)}") from None


def class_names(class_set: str) -> tuple[str, ...]:
    """Return the emotions of a named class set, in label order.

    >>> class_names("six-without-neutral")[4]
    'sadness'
    """
    try:
        return CLASS_SETS[class_set]
    except KeyError:
        raise ValueError(f"unknown class set {class_set!r}; legal: {', '.join(CLASS_SETS)}") from None
