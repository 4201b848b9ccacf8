"""The rotations of ManiSkill's tasks in NumPy against the package's, to the last bit."""

import math

import numpy as np
import pytest


@pytest.fixture(scope="module")
def package():
    """The package's rotations; here only because the package sets variables when imported."""
    from mmbench.domains import maniskill_package

    try:
        maniskill_package.load()
    except ImportError as error:
        pytest.skip(f"ManiSkill cannot be imported: {error}")
    from mani_skill.utils.geometry import rotation_conversions

    return rotation_conversions


def rotations(count, seed):
    q = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def test_products_of_quaternions_are_the_package_s_to_the_last_bit(package):
    import torch

    from mmbench.domains.maniskill_numpy import maths

    a, b = rotations(300, seed=0), rotations(300, seed=1)
    v = np.random.default_rng(2).normal(size=(300, 3)).astype(np.float32)
    for i in range(300):
        ta, tb, tv = (torch.from_numpy(x[i : i + 1]) for x in (a, b, v))
        np.testing.assert_array_equal(
            maths.multiply(a[i], b[i]), package.quaternion_raw_multiply(ta, tb)[0]
        )
        np.testing.assert_array_equal(
            maths.compose(a[i], b[i]), package.quaternion_multiply(ta, tb)[0]
        )
        np.testing.assert_array_equal(maths.rotate(a[i], v[i]), package.quaternion_apply(ta, tv)[0])


@pytest.mark.parametrize("upright", [True, False])
def test_relative_poses_are_the_package_s_to_the_last_bit(package, upright):
    import torch
    from mani_skill.utils.structs import Pose

    from mmbench.domains.maniskill_numpy import maths

    rng = np.random.default_rng(3)
    for base_q, q in zip(rotations(300, seed=4), rotations(300, seed=5), strict=True):
        if upright:  # but, as PhysX has it, not quite of length 1
            base_q[:] = rng.choice(np.float32([1.0000001, 1.0, 0.9999999])), 0, 0, 0
        base_p, p = rng.normal(size=(2, 3)).astype(np.float32)
        base, pose = (
            Pose.create_from_pq(torch.from_numpy(x)[None], torch.from_numpy(y)[None])
            for x, y in ((base_p, base_q), (p, q))
        )
        theirs = (base.inv() * pose).raw_pose[0].numpy()
        ours = np.concatenate(maths.relative_pose(base_p, base_q, p, q))
        np.testing.assert_array_equal(ours, theirs)


def test_commanded_rotations_are_the_package_s_to_the_last_bit(package):
    import torch

    from mmbench.domains.maniskill_numpy import maths

    for angles in np.random.default_rng(6).uniform(-0.1, 0.1, (300, 3)).astype(np.float32):
        matrix = package.euler_angles_to_matrix(torch.from_numpy(angles)[None], "XYZ")
        np.testing.assert_array_equal(
            maths.quaternion_of_small_angles(angles), package.matrix_to_quaternion(matrix)[0]
        )


def test_readings_of_rotations_are_the_package_s(package):
    import torch

    from mmbench.domains.maniskill_numpy import maths

    for q in rotations(300, seed=7):
        matrix = package.quaternion_to_matrix(torch.from_numpy(q)[None])
        np.testing.assert_array_equal(maths.y_axis(q), matrix[0, :, 1])
        assert maths.x_axis_height(q) == matrix[0, 2, 0]
        angle = float(package.matrix_to_euler_angles(matrix, "XYZ")[0, 2])
        assert maths.third_euler_angle(q) == pytest.approx(angle, abs=1e-6)


def test_a_vector_is_shortened_to_length_1_and_not_lengthened():
    from mmbench.domains.maniskill_numpy import maths

    short, long = np.float32([0.3, -0.4, 0.5]), np.float32([1, -1, 1])
    np.testing.assert_array_equal(maths.clipped_to_unit(short), short)
    np.testing.assert_allclose(maths.clipped_to_unit(long), long / math.sqrt(3), rtol=1e-6)
