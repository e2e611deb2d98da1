"""VRML in all its dialects: what is legal reads to the same mesh, what is not is refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from hostile_bytes import MEMORY_BYTES, mutations, peak_memory, reads_or_refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.errors import FormatError
from fer_prep.formats.vrml import VrmlMesh, read_vrml

VERTICES = np.array([[0, 0, 1.5], [10, 0, 2], [10, 10.25, -3], [0, 10, 4], [5, 15, 0.125]])
QUADS = [(0, 1, 2, 3), (3, 2, 4)]
TRIANGLES = [(0, 1, 2), (0, 2, 3), (3, 2, 4)]
UV = np.array([[0, 0], [1, 0], [1, 0.5], [0, 0.5], [0.5, 1], [0.25, 0.75]])
UV_QUADS = [(0, 1, 2, 5), (3, 2, 4)]
UV_TRIANGLES = [(0, 1, 2), (0, 2, 5), (3, 2, 4)]


def rows(table, *, separator: str = ", ", fmt: str = "{}") -> str:
    return separator.join(" ".join(fmt.format(number) for number in row) for row in table)


def index(polygons, *, separator: str = ", ") -> str:
    return separator.join(separator.join(str(n) for n in (*polygon, -1)) for polygon in polygons)


def vrml2(
    *,
    faces=TRIANGLES,
    uv=UV,
    uv_faces=UV_TRIANGLES,
    separator: str = ", ",
    fmt: str = "{}",
    url: str = 'url "face.bmp"',
    points: str | None = None,
) -> str:
    texture = (
        f"texCoord TextureCoordinate {{ point [ {rows(uv, separator=separator, fmt=fmt)} ] }}" if uv is not None else ""
    )
    texture += f" texCoordIndex [ {index(uv_faces, separator=separator)} ]" if uv_faces is not None else ""
    return f"""#VRML V2.0 utf8

DEF Scan Transform {{
  children [
    Shape {{
      appearance Appearance {{ material Material {{ diffuseColor 1 1 1 }} texture ImageTexture {{ {url} }} }}
      geometry IndexedFaceSet {{
        solid FALSE
        coord Coordinate {{ point [ {points or rows(VERTICES, separator=separator, fmt=fmt)} ] }}
        coordIndex [ {index(faces, separator=separator)} ]
        {texture}
      }}
    }}
  ]
}}
"""


def vrml1(*, uv_faces=UV_TRIANGLES) -> str:
    texture_index = f"textureCoordIndex [ {index(uv_faces)} ]" if uv_faces is not None else ""
    return f"""#VRML V1.0 ascii
Separator {{
  Texture2 {{ filename "face.bmp" }}
  Coordinate3 {{ point [ {rows(VERTICES)} ] }}
  TextureCoordinate2 {{ point [ {rows(UV)} ] }}
  IndexedFaceSet {{ coordIndex [ {index(TRIANGLES)} ] {texture_index} }}
}}
"""


def is_the_mesh(mesh: VrmlMesh) -> None:
    np.testing.assert_allclose(mesh.vertices, VERTICES, rtol=1e-12)
    np.testing.assert_array_equal(mesh.faces, TRIANGLES)
    np.testing.assert_allclose(mesh.uv_corners, UV[np.array(UV_TRIANGLES)], rtol=1e-6)
    assert mesh.texture_url == "face.bmp"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("separator", [", ", " ", ",", "\n", " ,\n\t"], ids=repr)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_separators_line_ends_and_marks_mean_nothing(line_end, separator, bom):
    is_the_mesh(read_vrml(bom + vrml2(separator=separator).replace("\n", line_end).encode()))


@pytest.mark.parametrize("fmt", ["{:.6e}", "{:+.4f}", "{:.17f}", "{:E}"])
def test_numbers_may_be_written_in_any_way(fmt):
    is_the_mesh(read_vrml(vrml2(fmt=fmt).encode()))


def test_version_1_is_read():
    is_the_mesh(read_vrml(vrml1().encode()))


@pytest.mark.parametrize("header", ["", "\n\n", "# exported\n", "#VRML V1.0 ascii\n"])
def test_the_header_is_not_relied_on(header):
    is_the_mesh(read_vrml(vrml2().replace("#VRML V2.0 utf8\n", header).encode()))


def test_comments_may_stand_anywhere_but_not_in_strings():
    text = vrml2(separator=" # a [ comment } 7\n", url='url "face.bmp" # not "this"\n')
    is_the_mesh(read_vrml(text.encode()))
    hash_name = read_vrml(vrml2(url='url "fa#ce \\"1\\".bmp"').encode())
    assert hash_name.texture_url == 'fa#ce "1".bmp'


@pytest.mark.parametrize("url", ['url [ "face.bmp" ]', 'url [ "face.bmp", "b.bmp" ]', "url face.bmp"])
def test_the_texture_may_be_a_list_or_unquoted(url):
    is_the_mesh(read_vrml(vrml2(url=url).encode()))


def test_polygons_become_fans_with_the_texture_of_their_corners():
    is_the_mesh(read_vrml(vrml2(faces=QUADS, uv_faces=UV_QUADS).encode()))


def test_a_last_polygon_without_its_end_mark_counts():
    is_the_mesh(read_vrml(vrml2().replace("4, -1 ]", "4 ]").encode()))


@pytest.mark.parametrize(
    "text", [vrml2(uv_faces=None), vrml1(uv_faces=None), vrml2(uv_faces=[])], ids=["2.0", "1.0", "-"]
)
def test_texture_coordinates_without_an_index_follow_the_vertices(text):
    mesh = read_vrml(text.encode())
    np.testing.assert_allclose(mesh.uv_corners, UV[np.array(TRIANGLES)])


def test_a_mesh_without_texture_coordinates_says_so():
    mesh = read_vrml(vrml2(uv=None, uv_faces=None).encode())
    assert mesh.uv_corners is None
    assert len(mesh.faces) == 3


def test_unused_vertices_keep_their_numbers():
    mesh = read_vrml(vrml2(faces=[(0, 2, 4)], uv=None, uv_faces=None).encode())
    assert mesh.vertices.shape == (5, 3)
    assert mesh.faces.tolist() == [[0, 2, 4]]


def test_faces_without_area_are_left_out():
    mesh = read_vrml(vrml2(faces=[(0, 1), (0, 1, 1), (), (1, 2, 3)], uv=None, uv_faces=None).encode())
    assert mesh.faces.tolist() == [[1, 2, 3]]


def test_several_shapes_become_one_mesh_in_file_order():
    second = vrml2(uv=None, uv_faces=None).replace("#VRML V2.0 utf8", "")
    mesh = read_vrml((vrml2() + second).encode())
    assert mesh.vertices.shape == (10, 3)
    np.testing.assert_array_equal(mesh.faces[3:], np.array(TRIANGLES) + 5)
    assert mesh.uv_corners is None, "the second shape has no texture coordinates"


def test_shapes_that_share_their_coordinates_share_vertices():
    text = (
        f"#VRML V2.0 utf8\nShape {{ geometry IndexedFaceSet {{ coord DEF P Coordinate {{ point [ {rows(VERTICES)} ] }} "
        f"coordIndex [ 0 1 2 -1 ] }} }}\n"
        f"Shape {{ geometry IndexedFaceSet {{ coord USE P coordIndex [ 0 2 3 -1 ] }} }}\n"
    )
    mesh = read_vrml(text.encode())
    assert mesh.vertices.shape == (5, 3)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (vrml2(faces=[(0, 1, 5)], uv=None, uv_faces=None), "5 as entry 2"),
        (vrml2(faces=[(0, -7, 2)], uv=None, uv_faces=None), "-7 as entry 1"),
        (vrml2(uv_faces=[(0, 1, 2), (0, 2, 9), (3, 2, 4)]), "9 as entry 6"),
        (vrml2(uv_faces=QUADS), "other faces"),
        (vrml2(points="0 0 nan"), "nan in point 0"),
        (vrml2(points="0 0 1e999"), "inf in point 0"),
        (vrml2(points="0 0 1 2"), "4 numbers"),
        (vrml2(points="0 0 1.2.3"), "'1.2.3'"),
        (vrml2(points="0 0 1_000"), "'1_000'"),
        (vrml2(points=", ".join(["1 1 1"] * 5)), "all lie in one point"),
        (vrml2(faces=[(0, 0, 1)], uv=None, uv_faces=None), "without any faces"),
        (vrml2().replace("0, 1, 2, -1", "0, 1.5, 2, -1"), "'1.5'"),
        (vrml2()[:-30], "inside"),
        (vrml2(url='url "face.bmp'), "without one"),
        ("#VRML V2.0 utf8\n", "without any faces"),
        ("", "an empty file"),
        ("{", "none at byte 0"),
        ("Shape }", "'}' at byte 6"),
    ],
)
def test_damage_is_refused_with_what_was_found(text, found):
    with pytest.raises(FormatError) as caught:
        read_vrml(text.encode())
    assert found in caught.value.message


def test_compressed_files_are_named_as_such():
    with pytest.raises(FormatError, match="gzip"):
        read_vrml(b"\x1f\x8b\x08" + bytes(100))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("translation 1 2 3", np.add(VERTICES, [1, 2, 3])),
        ("scale 2 2 0.5", VERTICES * [2, 2, 0.5]),
        ("rotation 0 0 1 1.5707963267948966", VERTICES[:, [1, 0, 2]] * [-1, 1, 1]),
        ("translation 1 0 0 rotation 0 0 2 3.141592653589793 center 10 0 0", VERTICES * [-1, -1, 1] + [21, 0, 0]),
        ("scale 1 2 1 scaleOrientation 0 0 1 1.5707963267948966", VERTICES * [2, 1, 1]),
        ("translation 0 0 0 rotation 0 0 0 1", VERTICES),
    ],
)
def test_transforms_are_applied(fields, expected):
    text = vrml2().replace("DEF Scan Transform {", f"Transform {{ {fields} ")
    np.testing.assert_allclose(read_vrml(text.encode()).vertices, expected, atol=1e-9)


def test_transforms_nest_and_end_with_their_node():
    text = vrml2().replace("#VRML V2.0 utf8", "").replace("DEF Scan Transform {", "Transform { translation 5 0 0 ")
    both = f"Transform {{ scale 2 2 2 children [ {text} ] }} {vrml2(uv=None, uv_faces=None)[16:]}"
    vertices = read_vrml(both.encode()).vertices
    np.testing.assert_allclose(vertices[:5], np.add(VERTICES, [5, 0, 0]) * 2)
    np.testing.assert_allclose(vertices[5:], VERTICES)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("Translation { translation 1 2 3 } Scale { scaleFactor 2 2 2 }", VERTICES * 2 + [1, 2, 3]),
        ("Separator { Translation { translation 1 2 3 } }", VERTICES),
        (
            "MatrixTransform { matrix 0 1 0 0 -1 0 0 0 0 0 1 0 7 0 0 1 }",
            VERTICES[:, [1, 0, 2]] * [-1, 1, 1] + [7, 0, 0],
        ),
    ],
)
def test_version_1_transforms_move_what_follows(nodes, expected):
    text = vrml1().replace("Separator {", f"Separator {{ {nodes} ", 1)
    np.testing.assert_allclose(read_vrml(text.encode()).vertices, expected)


@pytest.mark.parametrize(
    "fields", ["translation 1 2", "scale 1 x 1", "translation 1e999 0 0", "scale 1e308 1e308 1e308"]
)
def test_impossible_transforms_are_refused(fields):
    text = vrml2().replace("DEF Scan Transform {", f"Transform {{ {fields} ")
    with pytest.raises(FormatError):
        read_vrml(text.encode())


WORDS = [
    b"Shape {",
    b"}",
    b"[",
    b"]",
    b"coord Coordinate { point [",
    b"coordIndex [",
    b"IndexedFaceSet {",
    b"-1",
    b"0 1 2 -1,",
]
WORDS += [
    b"DEF A",
    b"USE A",
    b'"',
    b"#",
    b"\n",
    b"1.5e3 2 3,",
    b"9" * 30,
    b"Separator {",
    b"Coordinate3 { point [ 0 0 0 1 1 1 2 0 2 ] }",
]


def moved_copies(count: int, *, points: str = rows(VERTICES), brackets: bool = False) -> bytes:
    """One surface, and ``count`` further ones at other places that are made by USE."""
    shape = (
        f"Shape {{ geometry IndexedFaceSet {{ coord Coordinate {{ point [ {points} ] }} coordIndex [ 0 1 2 -1 ] }} }}"
    )
    used = "[ USE A ]" if brackets else "USE A"
    copies = "".join(f" Transform {{ translation {k + 1} 0 0 children {used} }}" for k in range(count))
    return f"#VRML V2.0 utf8\nDEF A Group {{ children [ {shape} ] }}{copies}".encode()


@pytest.mark.parametrize("brackets", [False, True])
def test_a_surface_that_is_used_again_is_there_again(brackets):
    mesh = read_vrml(moved_copies(2, brackets=brackets))
    assert len(mesh.faces) == 3
    np.testing.assert_array_equal(mesh.vertices[:, 0], np.concatenate([VERTICES[:, 0] + k for k in range(3)]))


def test_a_small_file_that_uses_a_large_surface_a_thousand_times_is_refused_at_once():
    data = moved_copies(1000, points="1 2 3 4 5 7 " * 50_000)
    assert len(data) < 1 << 20
    with pytest.raises(FormatError, match="with all that USE repeats"):
        read_vrml(data)
    assert peak_memory(read_vrml, data) < MEMORY_BYTES


@pytest.mark.parametrize("data", [b"", b" \r\n"])
def test_an_empty_file_is_called_so(data):
    with pytest.raises(FormatError, match="found an empty file"):
        read_vrml(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=40).map(b" ".join))
def test_any_bytes_read_or_are_refused(data):
    reads_or_refuses(read_vrml, data)


def test_mutated_files_read_or_are_refused():
    rng = np.random.default_rng(0)
    for text in (vrml2(), vrml2(faces=QUADS, uv_faces=UV_QUADS), vrml1()):
        for data in mutations(text.encode(), rng=rng, rounds=40):
            mesh = reads_or_refuses(read_vrml, data)
            if isinstance(mesh, VrmlMesh):
                assert np.isfinite(mesh.vertices).all()
                assert 0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.vertices)


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        b'\\"' * MEGABYTE,
        b'"' * (MEGABYTE // 16),
        b"#\n" * (MEGABYTE // 16),
        b'#"' * MEGABYTE,
        b"Group {" * (MEGABYTE // 4),
        b"a [" * MEGABYTE,
        b"a { [ b" * (MEGABYTE // 4),
        b"DEF A B { USE A } " * (MEGABYTE // 16),
        b"".join(b"DEF A%d G { USE A%d USE A%d } " % (n, n - 1, n - 1) for n in range(1, 60)),
        vrml2(points="9" * MEGABYTE).encode(),
        vrml2(points="1e1 " * (MEGABYTE // 4)).encode(),
        vrml2(points="." * MEGABYTE).encode(),
        vrml2(points="-" * MEGABYTE).encode(),
        vrml2(faces=[range(5)] * 50_000, uv=None, uv_faces=None).encode(),
        b"1 " * (16 * MEGABYTE),
        vrml2(points="1 " * (15 * MEGABYTE)).encode(),
    ],
    ids=range(16),
)
def test_adversarial_files_cost_neither_time_nor_memory(data):
    assert peak_memory(read_vrml, data) < MEMORY_BYTES


def shown_in(node: str) -> bytes:
    """Two surfaces of one triangle each, at z = 0 and at z = 5, as the children of a node written with ``%s``."""
    points = "coord Coordinate {{ point [ 0 0 {z} 1 0 {z} 0 1 {z} ] }}".format
    shapes = [f"Shape {{ geometry IndexedFaceSet {{ {points(z=z)} coordIndex [ 0 1 2 -1 ] }} }}" for z in (0, 5)]
    return ("#VRML V2.0 utf8\n" + node % tuple(shapes)).encode()


@pytest.mark.parametrize(
    ("node", "heights"),
    [
        ("Switch { whichChoice 1 choice [ %s %s ] }", [5]),
        ("Switch { choice [ %s %s ] whichChoice 0 }", [0]),
        ("Switch { whichChild -3 %s %s }", [0, 5]),
        ("LOD { range [ 10 ] level [ %s %s ] }", [0]),
        ("Group { children [ Switch { whichChoice -1 choice [ %s ] } %s ] }", [5]),
    ],
)
def test_what_is_hidden_or_coarser_is_no_part_of_the_mesh(node, heights):
    mesh = read_vrml(shown_in(node))
    assert sorted({mesh.vertices[corner, 2] for corner in mesh.faces.ravel()}) == heights


def test_a_switch_that_shows_nothing_leaves_no_mesh():
    with pytest.raises(FormatError, match="without any faces"):
        read_vrml(shown_in("Switch { choice [ %s %s ] }"))


def test_texture_transforms_move_the_texture_coordinates():
    moving = "textureTransform TextureTransform { scale 2 0.5 translation 0.25 0.125 rotation 1.5707963267948966 } }"
    text = vrml2().replace("texture ImageTexture", f"{moving[:-2]} texture ImageTexture")
    u, v = UV[np.array(UV_TRIANGLES)].transpose(2, 0, 1) + np.array([0.25, 0.125])[:, None, None]
    np.testing.assert_allclose(read_vrml(text.encode()).uv_corners, np.stack([2 * -v, 0.5 * u], axis=-1), atol=1e-6)


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ('Inline { url "head.wrl" }', "Inline"),
        ("Frobnicator { }", "Frobnicator"),
        ("Shape { geometry ElevationGrid { xDimension 2 zDimension 2 height [ 0 0 0 0 ] } }", "ElevationGrid"),
        ("Shape { appearance Appearance { texture PixelTexture { image 1 1 1 0 } } }", "PixelTexture"),
        ("Billboard { children [ ] }", "Billboard"),
        ("PROTO Face [ ] { Group { } }", "PROTO"),
        ("PROTO Face [ field SFNode shown Group { } ] { Group { } } Face { }", "PROTO"),
        ('EXTERNPROTO Face [ ] "faces.wrl#Face" Face { }', "EXTERNPROTO"),
    ],
)
def test_a_node_without_which_the_mesh_would_be_another_is_refused_by_name(added, named):
    with pytest.raises(FormatError, match=f"found a node {named}"):
        read_vrml((vrml2() + added).encode())


def test_primitives_are_left_out_and_named():
    mesh = read_vrml((vrml2() + "Shape { geometry Sphere { radius 3 } } Shape { geometry Box { } }").encode())
    is_the_mesh(mesh)
    assert mesh.left_out == ("Box", "Sphere")
    with pytest.raises(FormatError, match="found only Box"):
        read_vrml(b"#VRML V2.0 utf8\nShape { geometry Box { } }")


def test_a_shape_may_name_its_geometry_before_its_appearance():
    text = vrml2()
    start, geometry = text.index("appearance"), text.index("geometry IndexedFaceSet")
    end = text.rindex("}\n    }\n  ]") + 1
    swapped = text[:start] + text[geometry:end] + " " + text[start:geometry] + text[end:]
    is_the_mesh(read_vrml(swapped.encode()))
