"""The tasks of Meta-World."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="metaworld",
    split="train",
    obs_dim=39,
    action_dim=4,
    max_episode_steps=100,
    action_repeat=2,
    discount=0.95,
    score_metric="success",
    score_low=0,
    score_high=1,
)

# Embodiment and action space: the first sentence of every instruction.
_SAWYER = (
    "A Sawyer robot arm at a table with four actions: moving its hand along three axes, and "
    "opening or closing its two-finger gripper."
)

TASKS = (
    _task(
        "mw-assembly",
        native="assembly",
        instruction=(
            f"{_SAWYER} Assemble the parts: pick up the round nut by its handle, carry it and "
            "lower its ring over the upright peg."
        ),
    ),
    _task(
        "mw-basketball",
        native="basketball",
        instruction=f"{_SAWYER} Pick up the basketball and drop it through the hoop.",
    ),
    _task(
        "mw-button-press-topdown",
        native="button-press-topdown",
        instruction=f"{_SAWYER} Press the button on top of the box, from above.",
    ),
    _task(
        "mw-button-press-topdown-wall",
        native="button-press-topdown-wall",
        instruction=(
            f"{_SAWYER} Reach over the wall that stands in front of the box and press the button "
            "on its top, from above."
        ),
    ),
    _task(
        "mw-button-press",
        native="button-press",
        instruction=(
            f"{_SAWYER} Press the button on the front of the box by pushing it straight away from "
            "the robot."
        ),
    ),
    _task(
        "mw-button-press-wall",
        native="button-press-wall",
        instruction=(
            f"{_SAWYER} Reach around the wall that stands in the way and press the button on the "
            "front of the box behind it, pushing away from the robot."
        ),
    ),
    _task(
        "mw-coffee-button",
        native="coffee-button",
        instruction=f"{_SAWYER} Press the button on the coffee machine to make it brew.",
    ),
    _task(
        "mw-coffee-pull",
        native="coffee-pull",
        instruction=(
            f"{_SAWYER} Pull the mug out from under the coffee machine, towards the robot, to the "
            "target."
        ),
    ),
    _task(
        "mw-coffee-push",
        native="coffee-push",
        instruction=(
            f"{_SAWYER} Push the mug forward to its place under the spout of the coffee machine."
        ),
    ),
    _task(
        "mw-dial-turn",
        native="dial-turn",
        instruction=(
            f"{_SAWYER} Turn the dial until its pointer, which faces the robot, comes round to the "
            "far side."
        ),
    ),
    _task(
        "mw-disassemble",
        native="disassemble",
        instruction=(
            f"{_SAWYER} The round nut sits on a peg: take it apart by lifting the nut by its "
            "handle until it is off the peg."
        ),
    ),
    _task(
        "mw-door-open",
        native="door-open",
        instruction=(
            f"{_SAWYER} Grasp the handle of the closed door and swing the door open towards the "
            "robot."
        ),
    ),
    _task(
        "mw-door-close",
        native="door-close",
        instruction=f"{_SAWYER} Push the open door away from the robot until it is shut.",
    ),
    _task(
        "mw-drawer-close",
        native="drawer-close",
        instruction=f"{_SAWYER} Push the open drawer back in until it is shut.",
    ),
    _task(
        "mw-drawer-open",
        native="drawer-open",
        instruction=(
            f"{_SAWYER} Hook the handle of the drawer and pull the drawer out towards the robot."
        ),
    ),
    _task(
        "mw-faucet-open",
        native="faucet-open",
        instruction=(
            f"{_SAWYER} Turn the faucet on by pushing its handle to the right, counterclockwise as "
            "seen from above."
        ),
    ),
    _task(
        "mw-faucet-close",
        native="faucet-close",
        instruction=(
            f"{_SAWYER} Turn the faucet off by pushing its handle to the left, clockwise as seen "
            "from above."
        ),
    ),
    _task(
        "mw-hammer",
        native="hammer",
        instruction=(
            f"{_SAWYER} Pick up the hammer and drive the nail into the wooden block with it."
        ),
    ),
    _task(
        "mw-handle-press-side",
        native="handle-press-side",
        instruction=(
            f"{_SAWYER} Off to the left, turned sideways, stands a box with a raised handle: press "
            "the handle down as far as it goes."
        ),
    ),
    _task(
        "mw-handle-press",
        native="handle-press",
        instruction=(
            f"{_SAWYER} Straight ahead, facing the robot, is a box: push its raised handle down to "
            "the lowest position."
        ),
    ),
    _task(
        "mw-handle-pull-side",
        native="handle-pull-side",
        instruction=(
            f"{_SAWYER} Off to the left, turned sideways, stands a box with a lowered handle: hook "
            "the handle from below and lift it."
        ),
    ),
    _task(
        "mw-handle-pull",
        native="handle-pull",
        instruction=(
            f"{_SAWYER} Straight ahead, facing the robot, is a box: get the gripper under its "
            "lowered handle and pull it up."
        ),
    ),
    _task(
        "mw-lever-pull",
        native="lever-pull",
        instruction=(
            f"{_SAWYER} Get below the lever and pull it up by a quarter turn until it stands "
            "vertical."
        ),
    ),
    _task(
        "mw-peg-insert-side",
        native="peg-insert-side",
        instruction=(
            f"{_SAWYER} Pick up the peg and insert it sideways into the hole of the box at the "
            "left."
        ),
    ),
    _task(
        "mw-peg-unplug-side",
        native="peg-unplug-side",
        instruction=(
            f"{_SAWYER} Grasp the peg that is plugged into the box and unplug it sideways, to the "
            "right."
        ),
    ),
    _task(
        "mw-pick-out-of-hole",
        native="pick-out-of-hole",
        instruction=(
            f"{_SAWYER} Take the red puck out of the hole it lies in and lift it to the target in "
            "the air."
        ),
    ),
    _task(
        "mw-pick-place",
        native="pick-place",
        instruction=(
            f"{_SAWYER} Pick up the red puck and carry it to the target, on the table or in the "
            "air."
        ),
    ),
    _task(
        "mw-pick-place-wall",
        native="pick-place-wall",
        instruction=(
            f"{_SAWYER} Pick up the red puck, lift it over the wall and carry it to the target "
            "behind the wall."
        ),
    ),
    _task(
        "mw-plate-slide",
        native="plate-slide",
        instruction=(
            f"{_SAWYER} Slide the plate forward, away from the robot, into the cabinet at the far "
            "end of the table."
        ),
    ),
    _task(
        "mw-plate-slide-side",
        native="plate-slide-side",
        instruction=(
            f"{_SAWYER} Slide the plate over to the left, sideways, until it is in the cabinet on "
            "the left of the table."
        ),
    ),
    _task(
        "mw-plate-slide-back",
        native="plate-slide-back",
        instruction=(
            f"{_SAWYER} The plate is in the cabinet at the far end: get it out by dragging it back "
            "towards the robot, to the target."
        ),
    ),
    _task(
        "mw-plate-slide-back-side",
        native="plate-slide-back-side",
        instruction=(
            f"{_SAWYER} The plate is in the cabinet on the left: get it out by moving it to the "
            "right, to the target."
        ),
    ),
    _task(
        "mw-push-back",
        native="push-back",
        instruction=(
            f"{_SAWYER} Reach behind the grey block and bring it back over the table to the target "
            "near the robot."
        ),
    ),
    _task(
        "mw-push",
        native="push",
        instruction=(
            f"{_SAWYER} Push the red puck forward over the table, away from the robot, to the "
            "target."
        ),
    ),
    _task(
        "mw-push-wall",
        native="push-wall",
        instruction=(
            f"{_SAWYER} Push the red puck over the table and around the wall to the target behind "
            "it."
        ),
    ),
    _task(
        "mw-reach",
        native="reach",
        instruction=f"{_SAWYER} Reach the target in free space with the hand.",
    ),
    _task(
        "mw-reach-wall",
        native="reach-wall",
        instruction=(
            f"{_SAWYER} Reach the target behind the wall with the hand, moving it past the wall."
        ),
    ),
    _task(
        "mw-soccer",
        native="soccer",
        instruction=f"{_SAWYER} Kick the soccer ball across the table into the goal.",
    ),
    _task(
        "mw-stick-push",
        native="stick-push",
        instruction=(
            f"{_SAWYER} Grasp the stick and push the thermos with it to the target on the right."
        ),
    ),
    _task(
        "mw-stick-pull",
        native="stick-pull",
        instruction=(
            f"{_SAWYER} Grasp the stick, put its end through the handle of the thermos and pull "
            "the thermos with it to the target."
        ),
    ),
    _task(
        "mw-sweep-into",
        native="sweep-into",
        instruction=f"{_SAWYER} Sweep the block over the table into the hole.",
    ),
    _task(
        "mw-sweep",
        native="sweep",
        instruction=(
            f"{_SAWYER} Sweep the block over the table to the right, up to the target at its edge."
        ),
    ),
    _task(
        "mw-window-open",
        native="window-open",
        instruction=f"{_SAWYER} Open the window by sliding its handle to the right.",
    ),
    _task(
        "mw-window-close",
        native="window-close",
        instruction=(
            f"{_SAWYER} The window is open: push its handle all the way to the left, so that it is "
            "shut."
        ),
    ),
    _task(
        "mw-bin-picking",
        native="bin-picking",
        instruction=f"{_SAWYER} Pick the cube out of the left bin and put it into the right bin.",
    ),
    _task(
        "mw-box-close",
        native="box-close",
        instruction=f"{_SAWYER} Pick up the lid and put it on the open box to close it.",
    ),
    _task(
        "mw-door-lock",
        native="door-lock",
        instruction=(
            f"{_SAWYER} Lock the door by turning its bolt down, clockwise as seen from the robot."
        ),
    ),
    _task(
        "mw-door-unlock",
        native="door-unlock",
        instruction=(
            f"{_SAWYER} Unlock the door by turning its bolt to the right, counterclockwise as seen "
            "from the robot."
        ),
    ),
    _task(
        "mw-hand-insert",
        native="hand-insert",
        instruction=(
            f"{_SAWYER} Pick up the block and push it, hand and all, down into the hole of the "
            "table."
        ),
    ),
)
