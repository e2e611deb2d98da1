"""Synthetic people in the native on-disk formats of the four datasets: everything can be tried without a licence.

From the plan of a face to files: ``face_plan`` and ``plan_mesh`` say where features lie; ``face_shape`` (who),
``action_unit_shapes`` (what is shown) and ``openings`` (lids, lips) give the surface; ``skin`` and ``wrinkles`` paint
it; ``head`` puts both together with hair and shoulders; ``studio`` lights it, ``rendering`` takes the picture;
``bu3dfe_tree``, ``bosphorus_tree`` and ``rgbd_tree`` write what each dataset would hold.
"""

from fer_prep.sample_data.write import SampleDataSummary, write_sample_data

__all__ = ["SampleDataSummary", "write_sample_data"]
