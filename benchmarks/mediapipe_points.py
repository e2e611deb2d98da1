"""Where MediaPipe's 468 points lie on the face plan of the sample data: writes ``mediapipe_points.csv``.

    python -m benchmarks.mediapipe_points

MediaPipe looks at frontal faces of several people, with closed lips and, for the points within the mouth, with parted
ones; each point is taken back along its ray to the plan, and the median over the people is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fer_prep.faces.mediapipe_models import detect_faces
from fer_prep.sample_data.action_unit_shapes import Action
from fer_prep.sample_data.camera import Camera
from fer_prep.sample_data.head import FACE, Sitter
from fer_prep.sample_data.mediapipe_points import TABLE
from fer_prep.sample_data.people import draw_person
from fer_prep.sample_data.plan_mesh import plan_mesh
from fer_prep.sample_data.rendering import paint, see, to_bytes
from fer_prep.sample_data.studio import draw_lighting

Array = NDArray[np.float64]

PEOPLE = 12
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324)


def measured(seed: int, *, parted: bool) -> Array | None:
    """(468, 2) unrolled x and y in mm of the plan where MediaPipe sees its points on one person."""
    rng = np.random.default_rng([seed, 468])
    person = draw_person("FM"[seed % 2], rng=rng)
    actions = tuple(Action(unit=unit, left=1.0, right=1.0) for unit in ((25, 26) if parted else ()))
    head = Sitter(person).show(actions)
    lens = Camera(distance_mm=4000, focal_px=4000 * 2.2, centre_px=(256, 250), size=(512, 512))
    view = see(head, posed=head.points, lens=lens)
    picture = paint(view, head, light=draw_lighting(rng, variety=0.1), background=np.full((512, 512, 3), 0.6))
    faces = detect_faces(to_bytes(picture))
    if not faces:
        return None
    bare = see(head.part(head.material == FACE), posed=head.points, lens=lens)  # hair hides some
    raster = np.full((512, 512), -1)
    raster[bare.surface.valid] = bare.faces
    # points beside the face belong to its rim
    nearest = ndimage.distance_transform_edt(raster < 0, return_distances=False, return_indices=True)
    column, row = np.floor(faces[0][:468]).astype(int).clip(0, 511).T
    at = nearest[::-1, row, column].T  # (468, 2) x, y
    on_face = (at == np.stack([column, row], axis=1)).all(axis=1)
    pixels = np.where(on_face[:, None], faces[0][:468], at + 0.5)
    corners = plan_mesh().faces[raster[at[:, 1], at[:, 0]]]
    first, second, third = lens.project(head.points)[corners].transpose(1, 0, 2)
    basis = np.stack([second - first, third - first], axis=2)
    uv = np.linalg.solve(basis, (pixels - first)[..., None])[..., 0]
    weights = np.column_stack([1 - uv.sum(axis=1), uv])
    plan = np.stack([plan_mesh().unrolled, plan_mesh().xy[:, 1]], axis=1)[corners]
    return np.einsum("lc,lcx->lx", weights, plan)


def everybody(*, parted: bool) -> Iterator[Array]:
    """What was measured on each person whose face is found."""
    for seed in range(PEOPLE):
        found = measured(seed, parted=parted)
        if found is not None:
            yield found


def measure() -> Array:
    """(468, 2) as the table holds them."""
    places = np.median(list(everybody(parted=False)), axis=0)
    inner = list(INNER_LIPS)
    places[inner] = np.median(list(everybody(parted=True)), axis=0)[inner]
    return places


if __name__ == "__main__":
    rows = "".join(f"{x:.2f},{y:.2f}\n" for x, y in measure())
    TABLE.write_text("unrolled_x_mm,y_mm\n" + rows)
    print(f"{468} points in {TABLE}")
