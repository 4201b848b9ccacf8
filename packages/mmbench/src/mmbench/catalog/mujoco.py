"""The tasks of MuJoCo."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="mujoco",
    split="train",
    max_episode_steps=500,
    action_repeat=2,
    discount=0.99,
    score_metric="return",
    score_low=0,
)

TASKS = (
    _task(
        "mujoco-ant",
        native="Ant",
        obs_dim=27,
        action_dim=8,
        score_high=5000,
        instruction=(
            "A four-legged ant with torques at eight joints, the hip and the ankle of each leg. "
            "Run forward as fast as possible with small torques, and keep the body off the "
            "ground."
        ),
    ),
    _task(
        "mujoco-halfcheetah",
        native="HalfCheetah",
        obs_dim=17,
        action_dim=6,
        max_episode_steps=1000,
        action_repeat=1,
        score_high=15000,
        instruction=(
            "A planar half cheetah with torques at six joints: thigh, shin and foot at the front "
            "and at the back. Gallop forward as fast as possible with small torques."
        ),
    ),
    _task(
        "mujoco-hopper",
        native="Hopper",
        obs_dim=11,
        action_dim=3,
        score_high=5000,
        instruction=(
            "A planar one-legged hopper with torques at three joints: thigh, leg and foot. Hop "
            "forward as fast as possible with small torques and never fall over; every step on "
            "the ground costs a point."
        ),
    ),
    _task(
        "mujoco-inverted-pendulum",
        native="InvertedPendulum",
        obs_dim=4,
        action_dim=1,
        score_high=1000,
        instruction=(
            "A cart on a rail with an inverted pendulum on top, moved by one force along the "
            "rail. Keep the pendulum upright; the reward ends for good once it has tilted too "
            "far."
        ),
    ),
    _task(
        "mujoco-reacher",
        native="Reacher",
        obs_dim=11,
        action_dim=2,
        max_episode_steps=50,
        action_repeat=1,
        discount=0.95,
        score_low=-50,
        score_high=0,
        instruction=(
            "A planar two-link arm with torques at two joints, the shoulder and the elbow. Move "
            "the fingertip to the random target as quickly as possible with small torques."
        ),
    ),
    _task(
        "mujoco-walker",
        native="Walker2d",
        obs_dim=17,
        action_dim=6,
        score_high=5000,
        instruction=(
            "A planar two-legged walker with torques at six joints: thigh, leg and foot on either "
            "side. Walk forward as fast as possible with small torques and never fall over; every "
            "step on the ground costs a point."
        ),
    ),
)
