"""All back ends see the same triangles, and what they see lies on the surface the formula says."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_shapes import grid_faces, height_field, sphere_cap

from fer_prep.errors import InstallationError, SampleError, UsageError
from fer_prep.geometry import renderers
from fer_prep.geometry.camera import AffineCamera, Camera, PerspectiveCamera
from fer_prep.geometry.hits import Surface, cast
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.renderers import DEFAULT_RENDERER, RENDERERS, choose_renderer, probe_renderers

SIZE = 96
AGREE_MM = 0.02


@pytest.fixture(params=list(RENDERERS))
def renderer(request: pytest.FixtureRequest) -> renderers.Renderer:
    reason = probe_renderers()[request.param]
    if request.param == "opengl" and reason:
        pytest.skip(f"no off-screen OpenGL on this machine: {reason}")
    assert not reason, reason
    return choose_renderer(request.param)


def frontal(half_mm: float = 36.0) -> AffineCamera:
    return AffineCamera.frontal(left_mm=-half_mm, top_mm=half_mm, mm_per_pixel=2 * half_mm / SIZE)


def central() -> PerspectiveCamera:
    intrinsics = np.array([[900.0, 0, SIZE / 2], [0, 900.0, SIZE / 2], [0, 0, 1]])
    turn = np.diag([1.0, -1.0, -1.0])
    return PerspectiveCamera(intrinsics=intrinsics, rotation=turn, translation_mm=np.array([0.0, 0.0, 1000.0]))


def surface(renderer: renderers.Renderer, mesh: TriangleMesh, camera: Camera) -> Surface:
    corners = mesh.vertices_mm.T[:, mesh.faces.T]
    return cast(mesh, camera=camera, size=SIZE, renderer=renderer, attributes=corners)


def hits_of(renderer: renderers.Renderer, mesh: TriangleMesh, camera: Camera, *, size: int = SIZE) -> np.ndarray:
    return renderer.first_hits(camera.screen(mesh.vertices_mm), faces=mesh.faces, size=size)


def centres(size: int) -> np.ndarray:
    """(size², 2) x, y of every pixel centre, in row-major order."""
    rows, columns = np.divmod(np.arange(size * size), size)
    return np.stack([columns + 0.5, rows + 0.5], axis=1)


def test_a_sphere_is_where_its_formula_says(renderer: renderers.Renderer) -> None:
    seen = surface(renderer, sphere_cap(), frontal())
    x, y, _ = frontal().unproject(centres(SIZE)).T
    assert seen.valid.all()
    assert np.abs(seen.z_mm - np.sqrt(100.0**2 - x**2 - y**2)).max() < AGREE_MM


@pytest.mark.parametrize("camera", [frontal(), central()], ids=["parallel", "central"])
def test_a_slanted_plane_is_met_exactly(renderer: renderers.Renderer, camera: Camera) -> None:
    mesh = height_field(lambda x, y: 0.7 * x - 1.1 * y + 3, half_mm=60.0, nodes=14)
    seen = surface(renderer, mesh, camera)
    x, y, z = seen.attributes
    assert seen.valid.all()
    np.testing.assert_allclose(z, 0.7 * x - 1.1 * y + 3, atol=1e-6)
    # the point met lies on the very ray of its pixel
    at = camera.screen(np.stack([x, y, z], axis=1))
    np.testing.assert_allclose(at[:, :2], centres(SIZE), atol=1e-6)
    np.testing.assert_allclose(camera.height_mm(at[:, 2]), seen.z_mm, atol=1e-6)


def test_the_nearer_of_two_surfaces_is_seen_in_any_order(renderer: renderers.Renderer) -> None:
    back = height_field(lambda x, y: 0 * x, half_mm=60.0, nodes=30)
    front = height_field(lambda x, y: 0 * x + 9.0, half_mm=10.0, nodes=30)
    for first, second in ((back, front), (front, back)):
        mesh = TriangleMesh(
            vertices_mm=np.concatenate([first.vertices_mm, second.vertices_mm]),
            faces=np.concatenate([first.faces, second.faces + len(first.vertices_mm)]),
        )
        seen = surface(renderer, mesh, frontal())
        z = seen.height_map().ravel()
        x, y, _ = frontal().unproject(centres(SIZE)).T
        np.testing.assert_array_equal(z, np.where((np.abs(x) < 10) & (np.abs(y) < 10), 9.0, 0.0))


def test_an_outline_is_where_it_is_to_a_small_part_of_a_pixel(renderer: renderers.Renderer) -> None:
    """A disc 18 mm before a wall. OpenGL moves corners to the nearest 1/256 of a pixel; nothing else may differ."""
    back = height_field(lambda x, y: 0 * x, half_mm=60.0, nodes=3)
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    rim = np.stack([21.7 * np.cos(angles) + 0.3, 21.7 * np.sin(angles) - 0.2, np.full(90, 18.0)], axis=1)
    fan = np.stack([np.zeros(88, int), np.arange(1, 89), np.arange(2, 90)], axis=1) + len(back.vertices_mm)
    mesh = TriangleMesh(
        vertices_mm=np.concatenate([back.vertices_mm, rim]), faces=np.concatenate([back.faces, fan]).astype(np.int32)
    )
    camera = frontal(30.0)
    seen = surface(renderer, mesh, camera)
    corners = camera.screen(rim)[:, :2]
    along = np.roll(corners, -1, axis=0) - corners
    inward = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    inside_px = ((centres(SIZE)[:, None] - corners) * inward).sum(axis=2).min(axis=1)
    clear = np.abs(inside_px) > 1 / 256
    assert np.count_nonzero(inside_px > 0) > 3000
    assert seen.valid.all()
    np.testing.assert_allclose(seen.z_mm[clear], np.where(inside_px > 0, 18.0, 0.0)[clear], atol=1e-9)


def test_back_ends_see_the_same_random_surface(renderer: renderers.Renderer) -> None:
    bumps = np.random.default_rng(5).normal(0, 1.5, (60, 60))
    axis = np.linspace(-34, 34, 60)
    x, y = np.meshgrid(axis, axis[::-1])
    mesh = TriangleMesh(vertices_mm=np.stack([x, y, bumps], axis=-1).reshape(-1, 3), faces=grid_faces(60, 60))
    mine, reference = surface(renderer, mesh, frontal()), surface(choose_renderer("numpy"), mesh, frontal())
    np.testing.assert_array_equal(mine.valid, reference.valid)  # silhouettes too
    assert np.abs(mine.z_mm - reference.z_mm).max() < AGREE_MM


def test_no_pinholes_where_edges_run_through_centres(renderer: renderers.Renderer) -> None:
    camera = AffineCamera.frontal(left_mm=0.0, top_mm=8.0, mm_per_pixel=1.0)
    axis = np.arange(-1, 10) + 0.5
    x, y = np.meshgrid(axis, axis[::-1])
    mesh = TriangleMesh(vertices_mm=np.stack([x, y, 0.1 * x], axis=-1).reshape(-1, 3), faces=grid_faces(11, 11))
    assert (hits_of(renderer, mesh, camera, size=8) >= 0).all()


def test_large_and_small_triangles_together(renderer: renderers.Renderer) -> None:
    large = np.array([[-200, -200, 0], [200, -200, 0], [0, 300, 0]], np.float64)
    small = np.array([[0, 0, 5], [2, 0, 5], [0, 2, 5]], np.float64)
    mesh = TriangleMesh(vertices_mm=np.concatenate([large, small]), faces=np.arange(6, dtype=np.int32).reshape(2, 3))
    hits = hits_of(renderer, mesh, frontal())
    assert set(np.unique(hits)) == {0, 1}


def test_layers_that_cover_the_raster_many_times(renderer: renderers.Renderer) -> None:
    heights = (3.0, 9.0, *[1.0] * 200)
    layers = [height_field(lambda x, y, z=z: 0 * x + z, half_mm=60.0, nodes=5) for z in heights]
    offset, count = len(layers[0].vertices_mm), len(layers[0].faces)
    mesh = TriangleMesh(
        vertices_mm=np.concatenate([layer.vertices_mm for layer in layers]),
        faces=np.concatenate([layer.faces + offset * k for k, layer in enumerate(layers)]).astype(np.int32),
    )
    np.testing.assert_array_equal(hits_of(renderer, mesh, frontal()) // count, 1)


def test_a_camera_within_the_mesh_is_refused() -> None:
    mesh = TriangleMesh(
        vertices_mm=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 2000.0]]), faces=np.array([[0, 1, 2]], np.int32)
    )
    with pytest.raises(SampleError, match="in front of the camera"):
        surface(choose_renderer(), mesh, central())


def test_nothing_to_see(renderer: renderers.Renderer) -> None:
    mesh = TriangleMesh(vertices_mm=np.zeros((0, 3)), faces=np.zeros((0, 3), np.int32))
    assert (hits_of(renderer, mesh, frontal(), size=4) == -1).all()


def test_open3d_is_the_default() -> None:
    assert choose_renderer().name == DEFAULT_RENDERER == "open3d"


def test_an_unusable_renderer_says_why_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> None:
        raise OSError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(renderers, "import_module", absent)
    monkeypatch.setattr(renderers, "RENDERERS", {"broken": "broken:Broken"})
    monkeypatch.setattr(renderers, "INSTALL_HINTS", {"broken": "apt-get install libgl1"})
    with pytest.raises(InstallationError, match=r"libGL\.so\.1.*\n.*apt-get install libgl1"):
        choose_renderer("broken")
    assert probe_renderers() == {"broken": "OSError: libGL.so.1: cannot open shared object file"}


def test_an_unknown_renderer_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known: numpy, open3d, opengl"):
        choose_renderer("povray")
