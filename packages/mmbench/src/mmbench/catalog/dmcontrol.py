"""The tasks of DMControl."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="dmcontrol",
    split="train",
    max_episode_steps=500,
    action_repeat=2,
    discount=0.99,
    score_metric="return",
    score_low=0,
    score_high=1000,
    score_clipped=False,
)

# Embodiment and action space: the first sentence of every instruction.
WALKER = "A planar two-legged walker with six actuated joints: hips, knees and ankles."
CHEETAH = (
    "A planar cheetah-like runner with six actuated joints: the thigh, shin and foot of one hind "
    "leg and one front leg."
)
HOPPER = "A planar one-legged hopper with four actuated joints: waist, hip, knee and ankle."
REACHER = (
    "A two-link arm that moves in a horizontal plane, with two torques, one at the shoulder and "
    "one at the wrist."
)
PENDULUM = (
    "A pole swinging around a fixed pivot, driven by a single torque that is too weak to lift it "
    "directly."
)
CUP = (
    "A cup that two forces move sideways and up and down in a vertical plane, with a ball hanging "
    "from it on a string."
)
CARTPOLE = (
    "A cart on a short rail with a free pole hinged on top, driven by one force that pushes the "
    "cart left or right."
)
ACROBOT = (
    "A double pendulum hanging from a fixed shoulder, with a single torque at the elbow between "
    "its two links."
)
FINGER = (
    "A planar finger with two actuated joints, in reach of a free body that turns about a fixed "
    "hinge."
)
FISH = (
    "A fish floating in water with five actuators: the swing and the twist of its tail, the "
    "flapping of its side fins and the pitch of each fin."
)
QUADRUPED = "A four-legged robot with twelve actuators that yaw, lift and extend each of its legs."

TASKS = (
    _task(
        "walker-stand",
        native="walker/stand",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Stand up and keep the torso upright and high above the ground, without "
            "going anywhere."
        ),
    ),
    _task(
        "walker-walk",
        native="walker/walk",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Walk forward at one metre per second while keeping the torso upright."
        ),
    ),
    _task(
        "walker-run",
        native="walker/run",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Run forward fast, at eight metres per second, while keeping the torso "
            "upright."
        ),
    ),
    _task(
        "cheetah-run",
        native="cheetah/run",
        obs_dim=17,
        action_dim=6,
        instruction=f"{CHEETAH} Run forward as fast as possible, up to ten metres per second.",
    ),
    _task(
        "reacher-easy",
        native="reacher/easy",
        obs_dim=6,
        action_dim=2,
        instruction=(
            f"{REACHER} Bring the fingertip onto a large target at a random place and keep it "
            "there; the size of the target makes this easy."
        ),
    ),
    _task(
        "reacher-hard",
        native="reacher/hard",
        obs_dim=6,
        action_dim=2,
        instruction=(
            f"{REACHER} Bring the fingertip onto a tiny target at a random place and hold it "
            "there, which takes great precision."
        ),
    ),
    _task(
        "acrobot-swingup",
        native="acrobot/swingup",
        obs_dim=6,
        action_dim=1,
        instruction=(
            f"{ACROBOT} Swing both links up from any position until the tip reaches the point "
            "straight above the shoulder, and balance there."
        ),
    ),
    _task(
        "pendulum-swingup",
        native="pendulum/swingup",
        obs_dim=3,
        action_dim=1,
        instruction=(
            f"{PENDULUM} Swing the pole back and forth to gain energy until it points straight up, "
            "then balance it there."
        ),
    ),
    _task(
        "cartpole-balance",
        native="cartpole/balance",
        obs_dim=5,
        action_dim=1,
        instruction=(
            f"{CARTPOLE} The pole starts almost upright: keep it balanced over the middle of the "
            "rail, for a smooth reward that fades gradually as the pole tilts or the cart drifts."
        ),
    ),
    _task(
        "cartpole-balance-sparse",
        native="cartpole/balance_sparse",
        obs_dim=5,
        action_dim=1,
        instruction=(
            f"{CARTPOLE} The pole starts almost upright: keep it balanced; the reward is sparse, "
            "all or nothing, paid only with the pole nearly vertical and the cart close to the "
            "centre."
        ),
    ),
    _task(
        "cartpole-swingup",
        native="cartpole/swingup",
        obs_dim=5,
        action_dim=1,
        instruction=(
            f"{CARTPOLE} The pole starts hanging down: swing it up and balance it over the middle "
            "of the rail, for a smooth reward that grows gradually as the pole rises."
        ),
    ),
    _task(
        "cartpole-swingup-sparse",
        native="cartpole/swingup_sparse",
        obs_dim=5,
        action_dim=1,
        instruction=(
            f"{CARTPOLE} The pole starts hanging down: swing it up and hold it there; the reward "
            "is sparse, nothing at all until the pole is nearly vertical with the cart close to "
            "the centre."
        ),
    ),
    _task(
        "cup-catch",
        native="ball_in_cup/catch",
        obs_dim=8,
        action_dim=2,
        instruction=f"{CUP} Swing the ball up, catch it in the cup and keep it inside.",
    ),
    _task(
        "finger-spin",
        native="finger/spin",
        obs_dim=9,
        action_dim=2,
        instruction=(
            f"{FINGER} Flick the body again and again so that it keeps spinning fast, clockwise as "
            "seen from the front."
        ),
    ),
    _task(
        "finger-turn-easy",
        native="finger/turn_easy",
        obs_dim=12,
        action_dim=2,
        instruction=(
            f"{FINGER} Push the body round until its tip rests in a large target region, an easy "
            "angle with room for error."
        ),
    ),
    _task(
        "finger-turn-hard",
        native="finger/turn_hard",
        obs_dim=12,
        action_dim=2,
        instruction=(
            f"{FINGER} Push the body round until its tip rests exactly on a very small target, a "
            "hard angle that leaves hardly any room for error."
        ),
    ),
    _task(
        "fish-swim",
        native="fish/swim",
        obs_dim=24,
        action_dim=5,
        instruction=(
            f"{FISH} Swim to a target at a random place until the mouth touches it, and stay "
            "upright on the way."
        ),
    ),
    _task(
        "hopper-stand",
        native="hopper/stand",
        obs_dim=15,
        action_dim=4,
        instruction=(
            f"{HOPPER} Get up onto the foot and stay standing at full height with as little effort "
            "as possible."
        ),
    ),
    _task(
        "hopper-hop",
        native="hopper/hop",
        obs_dim=15,
        action_dim=4,
        instruction=f"{HOPPER} Hop forward at two metres per second without falling over.",
    ),
    _task(
        "quadruped-walk",
        native="quadruped/walk",
        obs_dim=78,
        action_dim=12,
        instruction=(
            f"{QUADRUPED} Walk forward slowly, at half a metre per second, with the torso upright."
        ),
    ),
    _task(
        "quadruped-run",
        native="quadruped/run",
        obs_dim=78,
        action_dim=12,
        instruction=(
            f"{QUADRUPED} Run forward fast, at five metres per second, with the torso upright."
        ),
    ),
)
