"""The tasks of MiniArcade."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="miniarcade",
    split="train",
    max_episode_steps=500,
    action_repeat=1,
    discount=0.99,
    score_metric="return",
    score_low=0,
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
        "pygame-cowboy",
        native="cowboy",
        obs_dim=3,
        action_dim=1,
        score_high=500,
        instruction=(
            "An arcade cowboy who runs to the right by himself, and one action: how hard he "
            "jumps. Jump over every cactus and keep running; being stuck against one costs a "
            "point at every step."
        ),
    ),
    _task(
        "pygame-coinrun",
        native="coinrun",
        obs_dim=12,
        action_dim=1,
        score_high=50,
        instruction=(
            "An arcade girl who runs across a meadow by herself, and one action: how hard she "
            "jumps. Jump at the right moments to collect as many of the passing gold coins as "
            "possible."
        ),
    ),
    _task(
        "pygame-spaceship",
        native="spaceship",
        obs_dim=14,
        action_dim=2,
        score_high=60,
        instruction=(
            "An arcade spaceship flying through scrolling stars, and two actions: horizontal and "
            "vertical thrust. Collect the rows of gold coins that come from the right and steer "
            "clear of the asteroids, which cost two points at every step of contact."
        ),
    ),
    _task(
        "pygame-pong",
        native="pong",
        obs_dim=6,
        action_dim=1,
        score_low=-3,
        score_high=3,
        instruction=(
            "An arcade paddle on the left edge of a court, and one action: its speed up or down. "
            "Play pong: return the ball, get it past the opponent on the right and let none past "
            "your own paddle."
        ),
    ),
    _task(
        "pygame-bird-attack",
        native="bird-attack",
        obs_dim=55,
        action_dim=2,
        score_high=16,
        instruction=(
            "An arcade gunship at the bottom of the screen, and two actions: moving sideways and "
            "firing. Shoot down the whole formation of birds as early as possible while dodging "
            "their bullets and the bouncing shots of the boss."
        ),
    ),
    _task(
        "pygame-highway",
        native="highway",
        obs_dim=24,
        action_dim=2,
        score_high=10,
        instruction=(
            "An arcade car on a five-lane road seen from above, and two actions: acceleration "
            "along the road and across it. Stay in the middle of a lane with free road ahead, and "
            "change lanes in time so as not to crash into cars and trucks."
        ),
    ),
    _task(
        "pygame-landing",
        native="landing",
        obs_dim=7,
        action_dim=2,
        max_episode_steps=200,
        discount=0.975,
        score_high=200,
        instruction=(
            "An arcade helicopter pulled down by gravity, and two actions: horizontal and "
            "vertical thrust. Land softly on the flag in the middle of the deck of a ship that "
            "sails back and forth, and stay there."
        ),
    ),
    _task(
        "pygame-air-hockey",
        native="air-hockey",
        obs_dim=12,
        action_dim=2,
        score_high=10,
        instruction=(
            "An arcade mallet in the lower half of an air hockey table, and two actions: its "
            "horizontal and its vertical velocity. Hit the puck into the opponent's goal at the "
            "top and defend your own goal at the bottom."
        ),
    ),
    _task(
        "pygame-rocket-collect",
        native="rocket-collect",
        obs_dim=21,
        action_dim=2,
        score_high=25,
        instruction=(
            "An arcade rocket gliding in open space, and two actions: horizontal and vertical "
            "thrust. Fly to the gold coin, which reappears elsewhere each time it is collected, "
            "and keep away from the drifting asteroids."
        ),
    ),
    _task(
        "pygame-chase-evade",
        native="chase-evade",
        obs_dim=15,
        action_dim=2,
        score_low=-50,
        score_high=50,
        instruction=(
            "An arcade gnome on a round field with three orbiting pillars, and two actions: its "
            "horizontal and its vertical velocity. Play tag: as the pursuer catch the opponent "
            "quickly, as the evader stay far away from it; each catch swaps the roles."
        ),
    ),
    _task(
        "pygame-coconut-dodge",
        native="coconut-dodge",
        obs_dim=29,
        action_dim=1,
        score_low=-15,
        score_high=0,
        instruction=(
            "An arcade traveller on the ground between palm trees, and one action: acceleration "
            "to the left or right. Dodge the falling coconuts, which become more and faster over "
            "time; every step under one costs a point."
        ),
    ),
    _task(
        "pygame-cartpole-balance",
        native="cartpole-balance",
        obs_dim=4,
        action_dim=1,
        score_high=500,
        instruction=(
            f"{_CARTPOLE} The pole starts almost upright: keep it balanced near the start, for a "
            "smooth reward that shrinks gradually as the pole tilts."
        ),
    ),
    _task(
        "pygame-cartpole-swingup",
        native="cartpole-swingup",
        obs_dim=4,
        action_dim=1,
        score_high=500,
        instruction=(
            f"{_CARTPOLE} The pole starts hanging down: swing it up and balance it near the start, "
            "for a smooth reward that grows gradually once the pole rises above the horizontal."
        ),
    ),
    _task(
        "pygame-cartpole-balance-sparse",
        native="cartpole-balance-sparse",
        obs_dim=4,
        action_dim=1,
        score_high=500,
        instruction=(
            f"{_CARTPOLE} The pole starts almost upright: keep it balanced near the start; the "
            "reward is sparse, all or nothing, and paid only while the pole is nearly vertical."
        ),
    ),
    _task(
        "pygame-cartpole-swingup-sparse",
        native="cartpole-swingup-sparse",
        obs_dim=4,
        action_dim=1,
        score_high=500,
        instruction=(
            f"{_CARTPOLE} The pole starts hanging down: swing it up and hold it near the start; "
            "the reward is sparse, nothing at all until the pole is nearly vertical."
        ),
    ),
    _task(
        "pygame-cartpole-tremor",
        native="cartpole-tremor",
        obs_dim=4,
        action_dim=1,
        score_high=500,
        instruction=(
            f"{_CARTPOLE} The pole starts almost upright: keep it balanced near the start although "
            "sudden earthquakes shake it without warning."
        ),
    ),
    _task(
        "pygame-point-maze-var1",
        native="point-maze-var1",
        obs_dim=44,
        action_dim=2,
        max_episode_steps=200,
        discount=0.975,
        score_metric="success",
        score_high=1,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where a straight wall down the middle "
            "has a single gap, at its centre, between the left half and the right half."
        ),
    ),
    _task(
        "pygame-point-maze-var2",
        native="point-maze-var2",
        obs_dim=44,
        action_dim=2,
        max_episode_steps=200,
        discount=0.975,
        score_metric="success",
        score_high=1,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where scattered tiles leave a winding "
            "loop of corridors around a block in the centre."
        ),
    ),
    _task(
        "pygame-point-maze-var3",
        native="point-maze-var3",
        obs_dim=44,
        action_dim=2,
        max_episode_steps=200,
        discount=0.975,
        score_metric="success",
        score_high=1,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where the open space is shaped like "
            "the letter U: a chamber with two arms that lead up to the top corners."
        ),
    ),
    _task(
        "pygame-point-maze-var4",
        split="test",
        native="point-maze-var4",
        obs_dim=44,
        action_dim=2,
        max_episode_steps=200,
        discount=0.975,
        score_metric="success",
        score_high=1,
        instruction=(
            f"{_MAZE} Move to the green goal and stay on it, where tiles fill the four corners and "
            "leave open space in the shape of a diamond."
        ),
    ),
    _task(
        "pygame-reacher-hard",
        split="test",
        native="reacher-hard",
        obs_dim=6,
        action_dim=2,
        max_episode_steps=200,
        discount=0.975,
        score_high=200,
        instruction=(
            f"{_REACHER} Bring the fingertip onto a tiny red target at a random place and hold it "
            "there, which takes great precision."
        ),
    ),
    _task(
        "pygame-reacher-easy",
        split="test",
        native="reacher-easy",
        obs_dim=6,
        action_dim=2,
        max_episode_steps=200,
        discount=0.975,
        score_high=200,
        instruction=(
            f"{_REACHER} Bring the fingertip onto a large red target at a random place and keep it "
            "there; the size of the target makes this easy."
        ),
    ),
)
