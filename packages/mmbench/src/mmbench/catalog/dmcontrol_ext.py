"""The tasks of DMControl-Ext."""

from functools import partial

from mmbench.catalog.dmcontrol import CHEETAH, CUP, HOPPER, PENDULUM, WALKER
from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="dmcontrol-ext",
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
_REACHER = (
    "A three-link arm that moves in a horizontal plane, with a torque at each of its three joints."
)
_JUMPER = (
    "A planar ball-shaped creature on two springy legs, with one actuated joint where each leg "
    "meets the ball."
)
_SPINNER = (
    "A planar ball-shaped creature with five springy limbs spread evenly around it like the "
    "spokes of a wheel, each with one actuated joint at its root."
)
_SPINNER_FOUR = (
    "A planar ball-shaped creature with four springy limbs that leave a gap where a fifth spoke "
    "of the wheel is missing, each with one actuated joint at its root."
)
_GIRAFFE = (
    "A planar giraffe with seven actuated joints: the thigh, shin and foot of one hind leg and "
    "one front leg, and the base of its long neck."
)
_INCLINE_WALKER = (
    "A planar two-legged walker with six actuated joints, hips, knees and ankles, on ground that "
    "slopes upward ahead of it."
)
_TWO_POLES = (
    "A cart on a short rail with two free poles hinged one on top of the other, driven by one "
    "force that pushes the cart left or right."
)
_LONG_POLE = (
    "A cart on a short rail with a long and heavy free pole hinged on top, driven by one force "
    "that pushes the cart left or right."
)

TASKS = (
    _task(
        "walker-walk-backward",
        native="walker/walk_backward",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Walk backward at one metre per second while keeping the torso upright."
        ),
    ),
    _task(
        "walker-run-backward",
        native="walker/run_backward",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Run backward fast, at eight metres per second, while keeping the torso "
            "upright."
        ),
    ),
    _task(
        "cheetah-run-backward",
        native="cheetah/run_backward",
        obs_dim=17,
        action_dim=6,
        instruction=f"{CHEETAH} Run backward as fast as possible, up to eight metres per second.",
    ),
    _task(
        "cheetah-run-front",
        native="cheetah/run_front",
        obs_dim=17,
        action_dim=6,
        instruction=(
            f"{CHEETAH} Run forward at six metres per second as if in a handstand, on the front "
            "leg alone, with the hind foot raised high above the ground."
        ),
    ),
    _task(
        "cheetah-run-back",
        native="cheetah/run_back",
        obs_dim=17,
        action_dim=6,
        instruction=(
            f"{CHEETAH} Rear up and run forward at six metres per second like a biped, on the hind "
            "leg alone, with the front foot raised high above the ground."
        ),
    ),
    _task(
        "cheetah-jump",
        native="cheetah/jump",
        obs_dim=17,
        action_dim=6,
        instruction=(
            f"{CHEETAH} Jump high on the spot, so that the torso and both feet leave the ground "
            "without any speed forward or backward."
        ),
    ),
    _task(
        "hopper-hop-backward",
        native="hopper/hop_backward",
        obs_dim=15,
        action_dim=4,
        instruction=f"{HOPPER} Hop backward at one metre per second without falling over.",
    ),
    _task(
        "reacher-three-easy",
        native="reacher/three_easy",
        obs_dim=8,
        action_dim=3,
        instruction=(
            f"{_REACHER} Bring the fingertip onto a large target at a random place and keep it "
            "there; the size of the target makes this easy."
        ),
    ),
    _task(
        "reacher-three-hard",
        native="reacher/three_hard",
        obs_dim=8,
        action_dim=3,
        instruction=(
            f"{_REACHER} Bring the fingertip onto a tiny target at a random place and hold it "
            "there, which takes great precision."
        ),
    ),
    _task(
        "cup-spin",
        native="ball_in_cup/spin",
        obs_dim=8,
        action_dim=2,
        instruction=(
            f"{CUP} Whirl the ball around as fast as possible, far away from the cup and never "
            "inside it."
        ),
    ),
    _task(
        "pendulum-spin",
        native="pendulum/spin",
        obs_dim=3,
        action_dim=1,
        instruction=(
            f"{PENDULUM} Gain energy and keep the pole spinning round the pivot at high speed, in "
            "either direction."
        ),
    ),
    _task(
        "jumper-jump",
        native="jumper/jump",
        obs_dim=9,
        action_dim=2,
        instruction=f"{_JUMPER} Jump as high as possible, again and again.",
    ),
    _task(
        "spinner-spin",
        native="spinner/spin",
        obs_dim=15,
        action_dim=5,
        instruction=(
            f"{_SPINNER} Roll forward like a wheel, spinning and travelling as fast as possible."
        ),
    ),
    _task(
        "spinner-spin-backward",
        native="spinner/spin_backward",
        obs_dim=15,
        action_dim=5,
        instruction=(
            f"{_SPINNER} Roll backward like a wheel in reverse, spinning and travelling as fast as "
            "possible the other way."
        ),
    ),
    _task(
        "spinner-jump",
        native="spinner/jump",
        obs_dim=15,
        action_dim=5,
        instruction=(
            f"{_SPINNER} Push off with the limbs to jump as high as possible, again and again."
        ),
    ),
    _task(
        "giraffe-run",
        native="giraffe/run",
        obs_dim=19,
        action_dim=7,
        instruction=(
            f"{_GIRAFFE} Run forward as fast as possible, up to ten metres per second, with the "
            "head held up."
        ),
    ),
    _task(
        "walker-walk-incline",
        split="test",
        native="walker/walk_incline",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{_INCLINE_WALKER} Walk forward up the hill at one metre per second while keeping the "
            "torso upright."
        ),
    ),
    _task(
        "cartpole-balance-two-poles-sparse",
        split="test",
        native="cartpole/balance_two_poles_sparse",
        obs_dim=8,
        action_dim=1,
        instruction=(
            f"{_TWO_POLES} Both poles start almost upright: keep them balanced; the reward is "
            "sparse, all or nothing, paid only with both nearly vertical and the cart close to "
            "the centre."
        ),
    ),
    _task(
        "spinner-jump-four",
        split="test",
        native="spinner/jump_four",
        obs_dim=13,
        action_dim=4,
        instruction=(
            f"{_SPINNER_FOUR} Push off with the limbs to jump as high as possible, again and again."
        ),
    ),
    _task(
        "cartpole-balance-long-sparse",
        split="test",
        native="cartpole/balance_long_sparse",
        obs_dim=5,
        action_dim=1,
        instruction=(
            f"{_LONG_POLE} The pole starts almost upright: keep it balanced; the reward is sparse, "
            "all or nothing, paid only with the pole nearly vertical and the cart close to the "
            "centre."
        ),
    ),
    _task(
        "walker-stand-incline",
        split="test",
        native="walker/stand_incline",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{_INCLINE_WALKER} Stand up on the hillside and keep the torso upright and high above "
            "the ground, without going anywhere."
        ),
    ),
    _task(
        "walker-run-incline",
        split="extra",
        native="walker/run_incline",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{_INCLINE_WALKER} Run forward fast up the hill, at eight metres per second, while "
            "keeping the torso upright."
        ),
    ),
    _task(
        "walker-arabesque",
        split="extra",
        native="walker/arabesque",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Hold an arabesque like a ballet dancer: stand on the left foot, tip the "
            "torso over and raise the right foot high behind."
        ),
    ),
    _task(
        "walker-lie-down",
        split="extra",
        native="walker/lie_down",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Lie down flat and stay there, with the torso and both thighs on the ground."
        ),
    ),
    _task(
        "walker-legs-up",
        split="extra",
        native="walker/legs_up",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Lie with the torso on the ground and stretch both feet up into the air."
        ),
    ),
    _task(
        "walker-headstand",
        split="extra",
        native="walker/headstand",
        obs_dim=24,
        action_dim=6,
        instruction=(
            f"{WALKER} Do a headstand: hold the thighs and both feet high in the air above the "
            "torso."
        ),
    ),
    _task(
        "spinner-spin-four",
        split="extra",
        native="spinner/spin_four",
        obs_dim=13,
        action_dim=4,
        instruction=(
            f"{_SPINNER_FOUR} Roll forward like a wheel, spinning and travelling as fast as "
            "possible."
        ),
    ),
    _task(
        "spinner-spin-backward-four",
        split="extra",
        native="spinner/spin_backward_four",
        obs_dim=13,
        action_dim=4,
        instruction=(
            f"{_SPINNER_FOUR} Roll backward like a wheel in reverse, spinning and travelling as "
            "fast as possible the other way."
        ),
    ),
)
