"""Meta-World's small maths: the package's and SciPy's numbers, to the last bit."""

import mujoco
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from metaworld.envs import SawyerPushEnvV3
from metaworld.utils import reward_utils
from scipy.spatial import transform

from mmbench.domains import metaworld_maths
from mmbench.env import TaskEnv

PARTS = st.one_of(st.floats(-1.0, 1.0), st.sampled_from([0.0, 1.0, -1.0, 0.5]))
NUMBERS = st.floats(-2.0, 2.0)


@given(st.tuples(PARTS, PARTS, PARTS, PARTS).filter(lambda q: np.linalg.norm(q) > 1e-3))
def test_quaternions_are_scipy_s(quaternion):
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.array(quaternion) / np.linalg.norm(quaternion))
    matrix = matrix.reshape(3, 3)
    expected = transform.Rotation.from_matrix(matrix).as_quat()
    np.testing.assert_array_equal(metaworld_maths.Rotation.from_matrix(matrix).as_quat(), expected)


@example(x=0.0, lower=1.0, width=0.0, margin=6e-217, sigmoid="long_tail")
@example(x=0.0, lower=1.0, width=0.0, margin=5e-155, sigmoid="long_tail")
@given(
    NUMBERS,
    NUMBERS,
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0),
    st.sampled_from(["long_tail", "gaussian"]),
)
def test_tolerance_is_the_package_s(x, lower, width, margin, sigmoid):
    for value in (x, np.float64(x)):
        settings = {"bounds": (lower, lower + width), "margin": margin, "sigmoid": sigmoid}
        ours = metaworld_maths.tolerance(value, **settings)
        assert ours == reward_utils.tolerance(value, **settings)


def test_one_environment_uses_them_and_the_package_stays_as_it_is():
    method = SawyerPushEnvV3.compute_reward
    native = TaskEnv("mw-push")._simulator._env
    assert native.compute_reward.__func__ is not method
    assert native._get_quat_objects.__globals__["Rotation"] is metaworld_maths.Rotation
    assert SawyerPushEnvV3.compute_reward is method
    assert method.__globals__["reward_utils"] is reward_utils
