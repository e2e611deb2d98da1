"""Where VRML nodes place what is inside them: the 4 × 4 matrices of transform nodes.

``Transform`` has the same meaning in both versions: P' = T · C · R · SR · S · SR⁻¹ · C⁻¹ · P (ISO/IEC 14772, §6.52).
VRML 1.0 also has its parts as nodes of their own, and ``MatrixTransform`` with row vectors.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError
from fer_prep.formats.vrml_nodes import Node

Matrix = NDArray[np.float64]

TRANSFORMS: Final = (b"Transform", b"Translation", b"Rotation", b"Scale", b"MatrixTransform")


def local_matrix(node: Node) -> Matrix | None:
    """(4, 4) from inside a transform node to outside it; None where it changes nothing."""
    if node.kind == b"MatrixTransform":
        matrix = number_field(node, b"matrix", default=np.eye(4).ravel()).reshape(4, 4).T
    else:
        matrix = _transform(node)
    return None if np.array_equal(matrix, np.eye(4)) else matrix


def texture_matrix(node: Node) -> Matrix:
    """(3, 3) from the texture coordinates in the file to those in the picture.

    VRML 2.0 moves, turns, then scales about the centre (ISO/IEC 14772, §6.49); VRML 1.0 the other way round.
    """
    angle = float(number_field(node, b"rotation", default=np.zeros(1))[0])
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
    at = number_field(node, b"center", default=np.zeros(2))
    shift, centre, back = np.repeat(np.eye(3)[None], 3, axis=0)
    shift[:2, 2], centre[:2, 2], back[:2, 2] = number_field(node, b"translation", default=np.zeros(2)), at, -at
    if node.kind == b"Texture2Transform":
        return shift @ centre @ turn @ _scale(node, b"scaleFactor") @ back
    return back @ _scale(node, b"scale") @ turn @ centre @ shift


def _scale(node: Node, name: bytes) -> Matrix:
    return np.diag([*number_field(node, name, default=np.ones(2)), 1.0])


def transformed(vertices: NDArray[np.float64], matrix: Matrix | None) -> NDArray[np.float64]:
    """(V, 3) through an affine (4, 4); the very same array for None."""
    if matrix is None:
        return vertices
    with np.errstate(over="ignore", invalid="ignore"):
        moved = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    if not np.isfinite(moved).all():
        raise FormatError(expected="transforms that keep vertices finite", found="an infinite vertex")
    return moved


def _transform(node: Node) -> Matrix:
    scale_field = b"scaleFactor" if b"scaleFactor" in node.words else b"scale"
    centre = _shift(number_field(node, b"center", default=np.zeros(3)))
    turn = _rotation(number_field(node, b"rotation", default=np.array([0.0, 0.0, 1.0, 0.0])))
    axes = _rotation(number_field(node, b"scaleOrientation", default=np.array([0.0, 0.0, 1.0, 0.0])))
    scale = np.diag([*number_field(node, scale_field, default=np.ones(3)), 1.0])
    shift = _shift(number_field(node, b"translation", default=np.zeros(3)))
    with np.errstate(over="ignore", invalid="ignore"):
        return shift @ centre @ turn @ axes @ scale @ axes.T @ _shift(-centre[:3, 3])


def number_field(node: Node, name: bytes, *, default: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers after a field's name; the default where it is not there."""
    if name not in node.words:
        return default
    start = node.words.index(name) + 1
    words = node.words[start : start + len(default)]
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.empty(0)
    if len(values) != len(default) or not np.isfinite(values).all():
        raise FormatError(
            expected=f"{len(default)} numbers after {name.decode()}",
            found=repr(b" ".join(words)[:40].decode("latin-1")),
        )
    return values


def _shift(by: NDArray[np.float64]) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 3] = by
    return matrix


def _rotation(axis_angle: NDArray[np.float64]) -> Matrix:
    """(4, 4) rotation by ``axis_angle`` (4,): axis, then radians (Rodrigues' formula)."""
    length = float(np.hypot(np.hypot(axis_angle[0], axis_angle[1]), axis_angle[2]))
    matrix = np.eye(4)
    if length == 0 or axis_angle[3] == 0:
        return matrix
    x, y, z = axis_angle[:3] / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = axis_angle[3]
    matrix[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrix
