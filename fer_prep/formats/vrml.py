"""``.wrl``: triangle meshes with texture coordinates from VRML 1.0 and 2.0 files.

What is kept: the vertices in the order of the file (other files address them by number), the faces as triangles, the
texture coordinates of their corners, the name of the texture. Several shapes become one mesh, in the order of the
file. Faces of more than three corners are cut into fans; faces of fewer, and triangles that use a vertex twice, have
no area and are left out. Transform nodes are applied. The header line is not relied on: re-exports lose or garble it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError
from fer_prep.formats.number_text import NumberTextError, parse_numbers
from fer_prep.formats.vrml_nodes import MAX_BYTES, PROTO, Document, Node, parse_document
from fer_prep.formats.vrml_transforms import TRANSFORMS, Matrix, local_matrix, number_field, texture_matrix, transformed

_COORDINATES: Final = (b"Coordinate", b"Coordinate3")
_TEXTURE_COORDINATES: Final = (b"TextureCoordinate", b"TextureCoordinate2")
_TEXTURES: Final = {b"ImageTexture": b"url", b"Texture2": b"filename"}
_TEXTURE_TRANSFORMS: Final = (b"TextureTransform", b"Texture2Transform")
_GROUPS: Final = frozenset(
    b"Group Separator TransformSeparator Anchor WWWAnchor Billboard Shape Switch LOD IndexedFaceSet".split()
)
_WITHOUT_SURFACE: Final = frozenset(
    b"Appearance Material MaterialBinding BaseColor PackedColor Color Normal NormalBinding ShapeHints Info WorldInfo "
    b"NavigationInfo Viewpoint Background Fog DirectionalLight PointLight SpotLight OrthographicCamera "
    b"PerspectiveCamera TextureCoordinateBinding Environment FontStyle TimeSensor TouchSensor PlaneSensor "
    b"SphereSensor CylinderSensor ProximitySensor VisibilitySensor PositionInterpolator OrientationInterpolator "
    b"ScalarInterpolator ColorInterpolator Sound AudioClip Label NormalInterpolator".split()
)
_PRIMITIVES: Final = frozenset(b"Box Cone Cube Cylinder Sphere Text AsciiText PointSet IndexedLineSet".split())
"""Markers and axes that scanners' programs draw beside a face: left out, with a warning."""
_KNOWN: Final = (
    _GROUPS
    | _WITHOUT_SURFACE
    | _PRIMITIVES
    | {*_COORDINATES, *_TEXTURE_COORDINATES, *_TEXTURES, *_TEXTURE_TRANSFORMS, *TRANSFORMS}
)
_ALL: Final = -3
"""``whichChild`` of VRML 1.0 that draws every child."""
_MAX_VISITS: Final = 20_000
"""``USE`` inside ``USE`` could name more nodes than there are atoms; a face scan has a dozen."""


@dataclass(frozen=True, kw_only=True)
class VrmlMesh:
    """A triangle mesh as the file has it."""

    vertices: NDArray[np.float64]
    """(V, 3) x, y, z in file order and file units."""
    faces: NDArray[np.int32]
    """(F, 3) vertex numbers."""
    uv_corners: NDArray[np.float32] | None
    """(F, 3, 2) texture coordinates of every corner: u from the left, v from the *bottom* of the texture, in
    fractions of its size, possibly outside 0…1 (the texture repeats). None where there are none."""
    texture_url: str | None
    """The texture's file name as written, or None."""


@dataclass(frozen=True)
class _State:
    """What a face set inherits from the nodes before it (VRML 1.0) or around it (VRML 2.0)."""

    points: Node | None = None
    texture_points: Node | None = None
    texture_url: str | None = None
    texture_matrix: Matrix | None = None
    """(3, 3) of texture coordinates; None where they are the file's."""
    matrix: Matrix | None = None
    """(4, 4) from here to the whole scene; None where they are the same."""


@dataclass(frozen=True)
class _Piece:
    """One face set: its own vertices, faces and corners."""

    vertices_key: tuple[int, bytes]
    """Equal for pieces that share their vertices: coordinate node and placement."""
    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    uv_corners: NDArray[np.float32] | None
    texture_url: str | None


def read_vrml(data: bytes) -> VrmlMesh:
    """Read every indexed face set of a VRML file as one mesh."""
    sets = list(_face_sets(parse_document(data)))
    # what USE repeats is parsed again: a small file could ask for any amount of work
    if sum(_text_bytes(node, state) for node, state in sets) > MAX_BYTES:
        raise FormatError(
            expected=f"at most {MAX_BYTES >> 20} MiB of numbers, with all that USE repeats", found="more of them"
        )
    pieces = [piece for node, state in sets if len((piece := _read_face_set(node, state)).faces)]
    if not pieces:
        raise FormatError(
            expected="an IndexedFaceSet with coordinates and faces", found="a file without any faces", hint=""
        )
    return _joined(pieces)


def _text_bytes(node: Node, state: _State) -> int:
    """How much text a face set is made of."""
    parts = (part for part in (node, state.points, state.texture_points) if part is not None)
    return sum(len(text) for part in parts for text in part.arrays.values())


def _face_sets(document: Document) -> Iterator[tuple[Node, _State]]:
    """Every IndexedFaceSet with what it inherits, in document order."""
    waiting: list[tuple[Node, _State]] = [(document.root, _State())]
    visits = 0
    while waiting:
        node, state = waiting.pop()
        visits += 1
        if visits > _MAX_VISITS:
            raise FormatError(expected=f"at most {_MAX_VISITS} nodes", found="more of them")
        following: list[tuple[Node, _State]] = []
        for child in _drawn(node):
            if child.kind == PROTO:
                continue
            _check_kind(child)
            state = _inherited(child, state, document)
            if child.kind == b"IndexedFaceSet":
                # its own coordinates are its children in VRML 2.0
                own = state
                for grandchild in child.children:
                    own = _inherited(grandchild, own, document)
                following.append((child, own))
            elif child.children and child is not node:
                placed = _placed(child, state) if child.kind in TRANSFORMS else state
                following.append((child, placed))
        waiting.extend(reversed(following))
        if node.kind == b"IndexedFaceSet":
            yield node, state


def _drawn(node: Node) -> list[Node]:
    """The children that are shown: of a Switch the chosen one, of a LOD the first level, which is the finest.

    In a Shape the appearance comes first, because it holds for the geometry wherever it is written.
    """
    if node.kind == b"Shape":
        return sorted(node.children, key=lambda child: child.kind != b"Appearance")
    if node.kind == b"LOD":
        return node.children[:1]
    if node.kind != b"Switch":
        return node.children
    name = b"whichChild" if b"whichChild" in node.words else b"whichChoice"
    chosen = int(number_field(node, name, default=np.array([-1.0]))[0])
    if chosen == _ALL and name == b"whichChild":
        return node.children
    return node.children[chosen : chosen + 1] if chosen >= 0 else []


def _check_kind(node: Node) -> None:
    """Refuse a node that may show something and is not read here; say what is left out."""
    if node.kind in _PRIMITIVES:
        warnings.warn(f"a {node.kind.decode()} in a VRML file is left out: it is no scanned surface", stacklevel=2)
    elif node.kind not in _KNOWN:
        raise FormatError(
            expected="nodes that scanners and editors write (Shape, Transform, Switch, LOD, IndexedFaceSet …)",
            found=f"the node {node.kind[:40].decode('latin-1')!r}, which is not supported",
            hint="save the mesh without prototypes and references to other files",
        )


def _inherited(node: Node, state: _State, document: Document) -> _State:
    if node.kind in _COORDINATES:
        return replace(state, points=node)
    if node.kind in _TEXTURE_COORDINATES:
        return replace(state, texture_points=node)
    if node.kind in _TEXTURES:
        return replace(state, texture_url=document.text_field(node, _TEXTURES[node.kind]))
    if node.kind in _TEXTURE_TRANSFORMS:
        return replace(state, texture_matrix=texture_matrix(node))
    if node.kind in TRANSFORMS and not node.children and b"children" not in node.words:
        return _placed(node, state)  # VRML 1.0: it moves what comes after it
    if node.kind == b"Appearance":
        state = replace(state, texture_matrix=None)
        for child in node.children:
            _check_kind(child)
            state = _inherited(child, state, document)
    return state


def _placed(node: Node, state: _State) -> _State:
    """The state inside (VRML 2.0) or after (VRML 1.0) a transform node."""
    local = local_matrix(node)
    if local is None:
        return state
    with np.errstate(over="ignore", invalid="ignore"):
        return replace(state, matrix=local if state.matrix is None else state.matrix @ local)


def _read_face_set(node: Node, state: _State) -> _Piece:
    if state.points is None:
        raise FormatError(expected="coordinates for the IndexedFaceSet", found="none")
    vertices = transformed(_table(state.points, b"point", columns=3), state.matrix)
    corners = _integers(node, b"coordIndex")
    _check_range(corners, limit=len(vertices), what="coordIndex")
    triangles = _triangle_slots(corners)
    uv_corners = _uv_corners(node, state, corners, triangles)
    faces = corners[triangles].astype(np.int32)
    solid = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return _Piece(
        vertices_key=(id(state.points), b"" if state.matrix is None else state.matrix.tobytes()),
        vertices=vertices,
        faces=faces[solid],
        uv_corners=None if uv_corners is None else uv_corners[solid],
        texture_url=state.texture_url,
    )


def _triangle_slots(corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """(F, 3) positions *in the index list* of the corners of every triangle; −1 ends a polygon."""
    ends = np.flatnonzero(corners < 0)
    starts = np.concatenate(([0], ends[:-1] + 1)) if ends.size else ends
    fans = np.maximum(ends - starts - 2, 0)
    first = np.repeat(starts, fans)
    within = np.arange(fans.sum()) - np.repeat(np.cumsum(fans) - fans, fans)
    return np.stack([first, first + within + 1, first + within + 2], axis=1)


def _uv_corners(
    node: Node, state: _State, corners: NDArray[np.int64], triangles: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """Texture coordinates of the triangles' corners; without an index of their own they follow the vertices."""
    if state.texture_points is None:
        return None
    points = _table(state.texture_points, b"point", columns=2)
    if not len(points):
        return None
    index = _integers(node, b"texCoordIndex", b"textureCoordIndex")
    if np.all(index < 0):
        index = corners
    if index.shape != corners.shape or np.any((index < 0) != (corners < 0)):
        raise FormatError(
            expected=f"texture indices for the {corners.size} entries of coordIndex, with the same faces",
            found=f"{index.size} entries with other faces",
        )
    _check_range(index, limit=len(points), what="texCoordIndex")
    if state.texture_matrix is not None:
        points = points @ state.texture_matrix[:2, :2].T + state.texture_matrix[:2, 2]
    return points[index[triangles]].astype(np.float32)


def _integers(node: Node, *names: bytes) -> NDArray[np.int64]:
    """The first of these index fields that is there, its last polygon closed by −1; empty where none is."""
    for name in names:
        if name in node.arrays:
            try:
                index = parse_numbers(node.arrays[name], kind=np.int64)
                return index if not index.size or index[-1] == -1 else np.append(index, -1)
            except NumberTextError as error:
                raise FormatError(expected=f"integers in {name.decode()}", found=error.found) from None
    return np.empty(0, np.int64)


def _table(node: Node, name: bytes, *, columns: int) -> NDArray[np.float64]:
    """The points of a coordinate node as (n, columns)."""
    what = f"{columns} finite numbers for every point of {node.kind.decode()}"
    try:
        values = parse_numbers(node.arrays.get(name, b""), kind=np.float64)
    except NumberTextError as error:
        raise FormatError(expected=what, found=error.found) from None
    if values.size % columns:
        raise FormatError(expected=what, found=f"{values.size} numbers")
    if not (finite := np.isfinite(values)).all():
        first = int(np.argmin(finite))
        raise FormatError(expected=what, found=f"{values[first]} in point {first // columns}")
    return values.reshape(-1, columns)


def _check_range(index: NDArray[np.int64], *, limit: int, what: str) -> None:
    wrong = (index < -1) | (index >= limit)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise FormatError(
            expected=f"numbers from 0 to {limit - 1} (or -1) in {what}", found=f"{index[at]} as entry {at}"
        )


def _joined(pieces: list[_Piece]) -> VrmlMesh:
    """One mesh of all face sets; sets that share their coordinates share the vertices.

    Texture coordinates are kept where all sets have them for one and the same texture: one picture cannot colour
    a mesh that wants two.
    """
    offsets: dict[tuple[int, bytes], int] = {}
    vertices: list[NDArray[np.float64]] = []
    for piece in pieces:
        if piece.vertices_key not in offsets:
            offsets[piece.vertices_key] = sum(map(len, vertices))
            vertices.append(piece.vertices)
    urls = {piece.texture_url for piece in pieces}
    corners = [piece.uv_corners for piece in pieces if piece.uv_corners is not None]
    textured = len(corners) == len(pieces) and len(urls) == 1
    mesh = VrmlMesh(
        vertices=np.concatenate(vertices),
        faces=np.concatenate([piece.faces + np.int32(offsets[piece.vertices_key]) for piece in pieces]),
        uv_corners=np.concatenate(corners) if textured else None,
        texture_url=next((piece.texture_url for piece in pieces if piece.texture_url), None),
    )
    used = np.zeros(len(mesh.vertices), np.bool_)
    used[mesh.faces] = True
    if not np.ptp(mesh.vertices[used], axis=0).any():
        raise FormatError(expected="a surface", found=f"{len(mesh.faces)} faces that all lie in one point")
    return mesh
