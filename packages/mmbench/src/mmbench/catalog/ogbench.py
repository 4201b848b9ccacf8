"""The tasks of OGBench."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="ogbench",
    split="train",
    score_metric="success",
    score_low=0,
    score_high=1,
)

# Embodiment and action space: the first sentence of every instruction.
_ANT = "A four-legged ant with weak torques at eight joints, the hip and the ankle of each leg."
_POINT = "A point mass on a floor with two actions: its displacement along the two axes."

TASKS = (
    _task(
        "og-ant",
        native="online-ant-v0",
        obs_dim=29,
        action_dim=8,
        max_episode_steps=1000,
        action_repeat=1,
        discount=0.99,
        score_metric="return",
        score_high=250,
        instruction=(
            f"{_ANT} Run as far as possible in a given direction on open ground, and follow it "
            "whenever the direction changes at random."
        ),
    ),
    _task(
        "og-antball",
        native="online-antball-v0",
        obs_dim=42,
        action_dim=8,
        max_episode_steps=200,
        action_repeat=1,
        discount=0.975,
        instruction=(
            f"{_ANT} Walk to the ball and dribble it to the goal on open ground, so that the ball "
            "comes to rest there."
        ),
    ),
    _task(
        "og-point-arena",
        native="pointmaze/arena",
        obs_dim=9,
        action_dim=2,
        max_episode_steps=100,
        action_repeat=4,
        discount=0.95,
        instruction=(
            f"{_POINT} Move to the goal position in a wide open arena without inner walls, and "
            "stay there."
        ),
    ),
    _task(
        "og-point-maze",
        native="pointmaze/medium",
        obs_dim=9,
        action_dim=2,
        max_episode_steps=100,
        action_repeat=4,
        discount=0.95,
        instruction=(
            f"{_POINT} Move to the goal position through an irregular maze of corridors and dead "
            "ends, and stay there."
        ),
    ),
    _task(
        "og-point-bottleneck",
        native="pointmaze/bottleneck",
        obs_dim=9,
        action_dim=2,
        max_episode_steps=100,
        action_repeat=4,
        discount=0.95,
        instruction=(
            f"{_POINT} Move to the goal position in a maze shaped like the letter H, whose two "
            "long halls are joined only by a bottleneck in the middle, and stay there."
        ),
    ),
    _task(
        "og-point-circle",
        native="pointmaze/circle",
        obs_dim=9,
        action_dim=2,
        max_episode_steps=100,
        action_repeat=4,
        discount=0.95,
        instruction=(
            f"{_POINT} Move to the goal position along a ring-shaped corridor around a solid "
            "block, and stay there."
        ),
    ),
    _task(
        "og-point-spiral",
        native="pointmaze/spiral",
        obs_dim=9,
        action_dim=2,
        max_episode_steps=100,
        action_repeat=4,
        discount=0.95,
        instruction=(
            f"{_POINT} Move to the goal position through a symmetric maze whose corridors turn "
            "around its centre like a spiral, and stay there."
        ),
    ),
    _task(
        "og-ant-arena",
        native="antmaze/arena",
        obs_dim=36,
        action_dim=8,
        max_episode_steps=200,
        action_repeat=2,
        discount=0.975,
        instruction=(
            f"{_ANT} Walk to the goal position in a wide open arena without inner walls, and stay "
            "there."
        ),
    ),
    _task(
        "og-ant-maze",
        native="antmaze/medium",
        obs_dim=36,
        action_dim=8,
        max_episode_steps=200,
        action_repeat=2,
        discount=0.975,
        instruction=(
            f"{_ANT} Walk to the goal position through an irregular maze of corridors and dead "
            "ends, and stay there."
        ),
    ),
    _task(
        "og-ant-bottleneck",
        native="antmaze/bottleneck",
        obs_dim=36,
        action_dim=8,
        max_episode_steps=200,
        action_repeat=2,
        discount=0.975,
        instruction=(
            f"{_ANT} Walk to the goal position in a maze shaped like the letter H, whose two long "
            "halls are joined only by a bottleneck in the middle, and stay there."
        ),
    ),
    _task(
        "og-ant-circle",
        native="antmaze/circle",
        obs_dim=36,
        action_dim=8,
        max_episode_steps=200,
        action_repeat=2,
        discount=0.975,
        instruction=(
            f"{_ANT} Walk to the goal position along a ring-shaped corridor around a solid block, "
            "and stay there."
        ),
    ),
    _task(
        "og-ant-spiral",
        native="antmaze/spiral",
        obs_dim=36,
        action_dim=8,
        max_episode_steps=200,
        action_repeat=2,
        discount=0.975,
        instruction=(
            f"{_ANT} Walk to the goal position through a symmetric maze whose corridors turn "
            "around its centre like a spiral, and stay there."
        ),
    ),
    _task(
        "og-point-var1",
        split="test",
        native="pointmaze/var1",
        obs_dim=9,
        action_dim=2,
        max_episode_steps=100,
        action_repeat=4,
        discount=0.95,
        instruction=(
            f"{_POINT} Move to the goal position in a round maze with a broken inner ring and gaps "
            "in the outer wall, through which the point can leave, and stay there."
        ),
    ),
    _task(
        "og-point-var2",
        split="test",
        native="pointmaze/var2",
        obs_dim=9,
        action_dim=2,
        max_episode_steps=100,
        action_repeat=4,
        discount=0.95,
        instruction=(
            f"{_POINT} Move to the goal position in a scattered maze of rooms at the corners and "
            "in the centre with many openings in the outer wall, through which the point can "
            "leave, and stay there."
        ),
    ),
)
