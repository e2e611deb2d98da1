"""``.wrl``: triangle meshes with texture coordinates from VRML 1.0 and 2.0 files.

What is kept: the vertices in the order of the file (other files address them by number), the faces as triangles, the
texture coordinates of their corners, the name of the texture. Several shapes become one mesh, in the order of the
file. Faces of more than three corners are cut into fans; faces of fewer, and triangles that use a vertex twice, have
no area and are left out. Transform nodes are applied. The header line is not relied on: re-exports lose or garble it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError
from fer_prep.formats.number_text import NumberTextError, parse_numbers
from fer_prep.formats.vrml_nodes import MAX_BYTES, Document, Node, parse_document
from fer_prep.formats.vrml_transforms import TRANSFORMS, Matrix, local_matrix, texture_matrix, transformed

_COORDINATES: Final = (b"Coordinate", b"Coordinate3")
_TEXTURE_COORDINATES: Final = (b"TextureCoordinate", b"TextureCoordinate2")
_CHOICES: Final = (b"whichChoice", b"whichChild")
_ALL: Final = -3
"""``whichChild`` of VRML 1.0 for every child."""
_TEXTURES: Final = {b"ImageTexture": b"url", b"Texture2": b"filename"}
_MAX_LOOKS: Final = 20_000
"""``USE`` inside ``USE`` could name more nodes than there are atoms; a face scan has a dozen."""
_WORDS_A_LOOK: Final = 50
"""A node with so many words takes as long as two."""
_MAX_SETS: Final = 1_000

_UNREADABLE: Final = (
    b"Inline",
    b"WWWInline",
    b"ElevationGrid",
    b"Extrusion",
    b"IndexedTriangleMesh",
    b"Texture2Transform",
    b"PixelTexture",
    b"MovieTexture",
    b"Billboard",
)
"""Nodes without which the mesh would be another one, and that are not read."""

_PRIMITIVES: Final = (b"Box", b"Cube", b"Sphere", b"Cone", b"Cylinder", b"Text", b"AsciiText", b"PointSet",
                      b"IndexedLineSet")  # fmt: skip
"""What people put beside a scan: left out, and named."""
_WITHOUT_SURFACE: Final = (
    b"Group Separator TransformSeparator Anchor WWWAnchor Collision Shape Switch LOD IndexedFaceSet Appearance "
    b"Material MaterialBinding BaseColor PackedColor Color Normal NormalBinding ShapeHints TextureCoordinateBinding "
    b"Info WorldInfo NavigationInfo Viewpoint Background Fog DirectionalLight PointLight SpotLight OrthographicCamera "
    b"PerspectiveCamera FontStyle Label Environment Sound AudioClip Script TimeSensor TouchSensor PlaneSensor "
    b"SphereSensor CylinderSensor ProximitySensor VisibilitySensor ColorInterpolator CoordinateInterpolator "
    b"NormalInterpolator OrientationInterpolator PositionInterpolator ScalarInterpolator TextureTransform"
).split()
_KNOWN: Final = frozenset(
    (*_WITHOUT_SURFACE, *_PRIMITIVES, *_COORDINATES, *_TEXTURE_COORDINATES, *_TEXTURES, *TRANSFORMS)
)
"""Nodes that are read, or that change no surface; any other is an error that names it."""


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
    left_out: tuple[str, ...] = ()
    """The kinds of primitives that the file has beside the mesh."""


@dataclass(frozen=True)
class _State:
    """What a face set inherits from the nodes before it (VRML 1.0) or around it (VRML 2.0)."""

    points: Node | None = None
    texture_points: Node | None = None
    texture_url: str | None = None
    texture_matrix: Matrix | None = None
    """(3, 3) from the file's texture coordinates to the texture's; None where they are the same."""
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
    primitives: set[str] = set()
    sets = list(islice(_face_sets(parse_document(data), primitives), _MAX_SETS + 1))
    if len(sets) > _MAX_SETS:
        raise FormatError(expected=f"at most {_MAX_SETS} face sets, with all that USE repeats", found="more of them")
    # what USE repeats is parsed again: a small file could ask for any amount of work
    if sum(_text_bytes(node, state) for node, state in sets) > MAX_BYTES:
        raise FormatError(
            expected=f"at most {MAX_BYTES >> 20} MiB of numbers, with all that USE repeats", found="more of them"
        )
    table = cache(_table)
    pieces = [piece for node, state in sets if len((piece := _read_face_set(node, state, table)).faces)]
    if not pieces:
        raise FormatError(
            expected="an IndexedFaceSet with coordinates and faces",
            found=f"only {', '.join(sorted(primitives))}" if primitives else "a file without any faces",
        )
    return replace(_joined(pieces), left_out=tuple(sorted(primitives)))


def _text_bytes(node: Node, state: _State) -> int:
    """How much text a face set is made of."""
    parts = (part for part in (node, state.points, state.texture_points) if part is not None)
    return sum(len(text) for part in parts for text in part.arrays.values())


def _face_sets(document: Document, primitives: set[str]) -> Iterator[tuple[Node, _State]]:
    """Every IndexedFaceSet with what it inherits, in document order; ``primitives`` gets the kinds of the others."""
    waiting: list[tuple[Node, _State]] = [(document.root, _State())]
    looks = 0

    def look(node: Node, state: _State) -> _State:
        nonlocal looks
        looks += 1 + len(node.words) // _WORDS_A_LOOK
        if looks > _MAX_LOOKS:
            raise FormatError(expected=f"at most {_MAX_LOOKS} nodes", found="more of them")
        if node.kind not in _KNOWN:
            name = node.kind.decode("latin-1")[:40]
            raise FormatError(expected="nodes that this program reads", found=f"a node {name}")
        if node.kind in _PRIMITIVES:
            primitives.add(node.kind.decode())
        return _inherited(node, state, document)

    while waiting:
        node, state = waiting.pop()
        following: list[tuple[Node, _State]] = []
        for child in _shown(node):
            state = look(child, state)
            if child.kind == b"IndexedFaceSet":
                # its own coordinates are its children in VRML 2.0
                own = state
                for grandchild in child.children:
                    own = look(grandchild, own)
                following.append((child, own))
            elif child.children and child is not node:
                placed = _placed(child, state) if child.kind in TRANSFORMS else state
                following.append((child, placed))
        waiting.extend(reversed(following))
        if node.kind == b"IndexedFaceSet":
            yield node, state


def _shown(node: Node) -> list[Node]:
    """The children that are seen: of a Switch the chosen one, of levels of detail the finest."""
    if node.kind == b"LOD":
        return node.children[:1]
    if node.kind == b"Shape":  # its fields may stand in any order
        return sorted(node.children, key=lambda child: child.kind != b"Appearance")
    if node.kind != b"Switch":
        return node.children
    chosen = next((int(v) for k, v in pairwise(node.words) if k in _CHOICES and v.lstrip(b"-").isdigit()), -1)
    if chosen == _ALL:
        return node.children
    return node.children[chosen : chosen + 1] if chosen >= 0 else []


def _inherited(node: Node, state: _State, document: Document) -> _State:
    if node.kind in _COORDINATES:
        return replace(state, points=node)
    if node.kind in _TEXTURE_COORDINATES:
        return replace(state, texture_points=node)
    if node.kind in _TEXTURES:
        return replace(state, texture_url=document.text_field(node, _TEXTURES[node.kind]))
    if node.kind in TRANSFORMS and not node.children and b"children" not in node.words:
        return _placed(node, state)  # VRML 1.0: it moves what comes after it
    if node.kind == b"Appearance":
        placing = node.child(b"TextureTransform")
        state = replace(state, texture_matrix=None if placing is None else texture_matrix(placing))
        if (painted := node.child(*_UNREADABLE)) is not None:
            raise FormatError(expected="nodes that this program reads", found=f"a node {painted.kind.decode()}")
        if texture := node.child(*_TEXTURES):
            return _inherited(texture, state, document)
    return state


def _placed(node: Node, state: _State) -> _State:
    """The state inside (VRML 2.0) or after (VRML 1.0) a transform node."""
    local = local_matrix(node)
    if local is None:
        return state
    with np.errstate(over="ignore", invalid="ignore"):
        return replace(state, matrix=local if state.matrix is None else state.matrix @ local)


def _read_face_set(node: Node, state: _State, table: Callable[[Node, int], NDArray[np.float64]]) -> _Piece:
    """``table`` reads the points of a coordinate node, once a file."""
    if state.points is None:
        raise FormatError(expected="coordinates for the IndexedFaceSet", found="none")
    vertices = transformed(table(state.points, 3), state.matrix)
    corners = _integers(node, b"coordIndex")
    _check_range(corners, limit=len(vertices), what="coordIndex")
    triangles = _triangle_slots(corners)
    uv_corners = _uv_corners(node, state, corners, triangles, table)
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
    node: Node,
    state: _State,
    corners: NDArray[np.int64],
    triangles: NDArray[np.int64],
    table: Callable[[Node, int], NDArray[np.float64]],
) -> NDArray[np.float32] | None:
    """Texture coordinates of the triangles' corners; without an index of their own they follow the vertices."""
    if state.texture_points is None:
        return None
    points = table(state.texture_points, 2)
    if not len(points):
        return None
    if state.texture_matrix is not None:
        points = points @ state.texture_matrix[:2, :2].T + state.texture_matrix[:2, 2]
    index = _integers(node, b"texCoordIndex", b"textureCoordIndex")
    if np.all(index < 0):
        index = corners
    if index.shape != corners.shape or np.any((index < 0) != (corners < 0)):
        raise FormatError(
            expected=f"texture indices for the {corners.size} entries of coordIndex, with the same faces",
            found=f"{index.size} entries with other faces",
        )
    _check_range(index, limit=len(points), what="texCoordIndex")
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


def _table(node: Node, columns: int) -> NDArray[np.float64]:
    """The points of a coordinate node as (n, columns)."""
    what = f"{columns} finite numbers for every point of {node.kind.decode()}"
    try:
        values = parse_numbers(node.arrays.get(b"point", b""), kind=np.float64)
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
