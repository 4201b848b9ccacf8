"""The tasks of MiniArcade. Lengths and scores are those of its own table."""

import miniarcade
from mmbench.catalog.task import Task


def _task(
    native: str, obs_dim: int, action_dim: int, instruction: str, split: str = "train"
) -> Task:
    game = miniarcade.get_task(native)
    return Task(
        f"pygame-{native}",
        domain="miniarcade",
        split=split,
        instruction=instruction,
        native=native,
        obs_dim=obs_dim,
        action_dim=action_dim,
        max_episode_steps=game.max_episode_steps,
        action_repeat=1,
        discount=1 - 5 / game.max_episode_steps,  # looks ahead over a fifth of the episode
        score_metric=game.score_metric,
        score_low=game.score_low,
        score_high=game.score_high,
    )


# Embodiment and action space: the first sentence of every instruction.
_CARTPOLE = (
    "An arcade mine cart on an endless track with a wooden pole hinged on top, and one action: a "
    "force that pushes the cart left or right."
)
_MAZE = (
    "An arcade point in a square maze of wall tiles with one windy cell, and two actions: its "
    "horizontal and its vertical velocity."
)
_REACHER = (
    "An arcade arm of two links fixed at the centre of the screen, and two actions: the torques "
    "at its shoulder and its elbow."
)

TASKS = (
    _task(
        "cowboy",
        obs_dim=3,
        action_dim=1,
        instruction=(
            "An arcade cowboy who runs to the right by himself, and one action: how hard he "
            "jumps. Jump over every cactus and keep running; being stuck against one costs a "
            "point at every step."
        ),
    ),
    _task(
        "coinrun",
        obs_dim=12,
        action_dim=1,
        instruction=(
            "An arcade girl who runs across a meadow by herself, and one action: how hard she "
            "jumps. Jump at the right moments to collect as many of the passing gold coins as "
            "possible."
        ),
    ),
    _task(
        "spaceship",
        obs_dim=14,
        action_dim=2,
        instruction=(
            "An arcade spaceship flying through scrolling stars, and two actions: horizontal and "
            "vertical thrust. Collect the rows of gold coins that come from the right and steer "
            "clear of the asteroids, which cost two points at every step of contact."
        ),
    ),
    _task(
        "pong",
        obs_dim=6,
        action_dim=1,
        instruction=(
            "An arcade paddle on the left edge of a court, and one action: its speed up or down. "
            "Play pong: return the ball, get it past the opponent on the right and let none past "
            "your own paddle."
        ),
    ),
    _task(
        "bird-attack",
        obs_dim=55,
        action_dim=2,
        instruction=(
            "An arcade gunship at the bottom of the screen, and two actions: moving sideways and "
            "firing. Shoot down the whole formation of birds as early as possible while dodging "
            "their bullets and the bouncing shots of the boss."
        ),
    ),
    _task(
        "highway",
        obs_dim=24,
        action_dim=2,
        instruction=(
            "An arcade car on a five-lane road seen from above, and two actions: acceleration "
            "along the road and across it. Stay in the middle of a lane with free road ahead, and "
            "change lanes in time so as not to crash into cars and trucks."
        ),
    ),
    _task(
        "landing",
        obs_dim=7,
        action_dim=2,
        instruction=(
            "An arcade helicopter pulled down by gravity, and two actions: horizontal and "
            "vertical thrust. Land softly on the flag in the middle of the deck of a ship that "
            "sails back and forth, and stay there."
        ),
    ),
    _task(
        "air-hockey",
        obs_dim=12,
        action_dim=2,
        instruction=(
            "An arcade mallet in the lower half of an air hockey table, and two actions: its "
            "horizontal and its vertical velocity. Hit the puck into the opponent's goal at the "
            "top and defend your own goal at the bottom."
        ),
    ),
    _task(
        "rocket-collect",
        obs_dim=21,
        action_dim=2,
        instruction=(
            "An arcade rocket gliding in open space, and two actions: horizontal and vertical "
            "thrust. Fly to the gold coin, which reappears elsewhere each time it is collected, "
            "and keep away from the drifting asteroids."
        ),
    ),
    _task(
        "chase-evade",
        obs_dim=15,
        action_dim=2,
        instruction=(
            "An arcade gnome on a round field with three orbiting pillars, and two actions: its "
            "horizontal and its vertical velocity. Play tag: as the pursuer catch the opponent "
            "quickly, as the evader stay far away from it; each catch swaps the roles."
        ),
    ),
    _task(
        "coconut-dodge",
        obs_dim=29,
        action_dim=1,
        instruction=(
            "An arcade traveller on the ground between palm trees, and one action: acceleration "
            "to the left or right. Dodge the falling coconuts, which become more and faster over "
            "time; every step under one costs a point."
        ),
    ),
    _task(
        "cartpole-balance",
        obs_dim=4,
        action_dim=1,
        instruction=(
            f"{_CARTPOLE} The pole starts almost upright: keep it balanced near the start, for a "
            "smooth reward that shrinks gradually as the pole tilts."
        ),
    ),
    _task(
        "cartpole-swingup",
        obs_dim=4,
        action_dim=1,
        instruction=(
            f"{_CARTPOLE} The pole starts hanging down: swing it up and balance it near the start, "
            "for a smooth reward that grows gradually once the pole rises above the horizontal."
        ),
    ),
    _task(
        "cartpole-balance-sparse",
        obs_dim=4,
        action_dim=1,
        instruction=(
            f"{_CARTPOLE} The pole starts almost upright: keep it balanced near the start; the "
            "reward is sparse, all or nothing, and paid only while the pole is nearly vertical."
        ),
    ),
    _task(
        "cartpole-swingup-sparse",
        obs_dim=4,
        action_dim=1,
        instruction=(
            f"{_CARTPOLE} The pole starts hanging down: swing it up and hold it near the start; "
            "the reward is sparse, nothing at all until the pole is nearly vertical."
        ),
    ),
    _task(
        "cartpole-tremor",
        obs_dim=4,
        action_dim=1,
        instruction=(
            f"{_CARTPOLE} The pole starts almost upright: keep it balanced near the start although "
            "sudden earthquakes shake it without warning."
        ),
    ),
    _task(
        "point-maze-var1",
        obs_dim=44,
        action_dim=2,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where a straight wall down the middle "
            "has a single gap, at its centre, between the left half and the right half."
        ),
    ),
    _task(
        "point-maze-var2",
        obs_dim=44,
        action_dim=2,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where scattered tiles leave a winding "
            "loop of corridors around a block in the centre."
        ),
    ),
    _task(
        "point-maze-var3",
        obs_dim=44,
        action_dim=2,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where the open space is shaped like "
            "the letter U: a chamber with two arms that lead up to the top corners."
        ),
    ),
    _task(
        "point-maze-var4",
        split="test",
        obs_dim=44,
        action_dim=2,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where tiles fill the four corners and "
            "leave open space in the shape of a diamond."
        ),
    ),
    _task(
        "reacher-hard",
        split="test",
        obs_dim=6,
        action_dim=2,
        instruction=(
            f"{_REACHER} Bring the fingertip onto a tiny red target at a random place and hold it "
            "there, which takes great precision."
        ),
    ),
    _task(
        "reacher-easy",
        split="test",
        obs_dim=6,
        action_dim=2,
        instruction=(
            f"{_REACHER} Bring the fingertip onto a large red target at a random place and keep it "
            "there; the size of the target makes this easy."
        ),
    ),
)
