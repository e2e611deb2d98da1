import numpy as np
import pytest

from fer_prep.faces.picture_scene import PictureScene


def scene(*, wall: bool) -> PictureScene:
    """A person 700 mm away on the left of the picture, in front of a wall or of nothing; one flying pixel."""
    z_mm = np.full((60, 80), -1500.0, np.float32)
    z_mm[20:40, 10:30] = -700
    z_mm[55, 75] = -200
    return PictureScene(rgb=np.zeros((60, 80, 3), np.uint8), z_mm=z_mm, valid=(z_mm > -1500) | wall)


@pytest.mark.parametrize("wall", [True, False])
def test_depth_centre_is_the_person_not_the_wall(wall):
    assert scene(wall=wall).depth_centre() == pytest.approx([20.0, 30.0], abs=0.3)


def test_no_depth_has_no_centre():
    empty = PictureScene(
        rgb=np.zeros((4, 4, 3), np.uint8), z_mm=np.zeros((4, 4), np.float32), valid=np.zeros((4, 4), bool)
    )
    assert empty.depth_centre() is None
    assert not empty.view(np.eye(2, 3), size=4).valid.any()


def test_rasters_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"found \(4, 4, 3\), \(4, 5\) and \(4, 4\)"):
        PictureScene(rgb=np.zeros((4, 4, 3), np.uint8), z_mm=np.zeros((4, 5), np.float32), valid=np.zeros((4, 4), bool))


def test_a_camera_view_claims_no_orthographic_scale():
    frame = scene(wall=True).view(np.eye(2, 3), size=30)
    assert np.isnan(frame.mm_per_pixel)
    assert np.isnan(frame.origin_mm).all()
    assert frame.rgb.shape == (30, 30, 3)
