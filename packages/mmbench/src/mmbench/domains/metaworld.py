"""Meta-World: 49 manipulation tasks of the Sawyer arm, on metaworld 3.0.

Facts: V2 rewards and goal-observable observations, action repeat 2 with rewards summed, object
and goal drawn at every reset (arXiv 2511.19584, appendix A). metaworld 3.0 simulates what the
published V2 tasks did, with two differences that are undone here: the torque scale of the weld
that drags the hand (:data:`_WELD_TORQUE_SCALE`), and a forward pass missing at the end of
dial-turn's reset.

Two peculiarities of the package are part of the published tasks and are kept:

* A reset places the objects twice, and only the second draw counts; but the hand settles, and a
  few initial positions are read, while the objects still stand where the first draw put them.
* Some "initial" positions are live views of simulator arrays (of both finger pads, in every
  task), so that rewards compare with the present instead of the start.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from miniarcade.snapshot import Form
from mmbench.catalog import Task
from mmbench.domains import metaworld_maths, mujoco_state
from mmbench.domains.simulator import Simulator
from mmbench.rendering import MujocoRenderer

_WELD_TORQUE_SCALE = 3.75  # of V2; 5.0 in metaworld 3.0
_CAMERA = "corner2"
_CAMERA_POSITION = (0.75, 0.075, 0.7)  # m; nearer than the package has it

_PLACED_BY_RESET = ("body_pos", "site_pos")  # the model arrays that resets change

# The package's own variables that are set at a reset and read by later steps. `_prev_obs` is the
# present frame, which the next observation repeats; `_last_stable_obs` the present observation.
_VARIABLES = (
    "_prev_obs",
    "_last_stable_obs",
    "_target_pos",
    "obj_init_pos",
    "init_tcp",
    "_handle_init_pos",
    "_lever_pos_init",
    "_obj_to_target_init",
    "_target_to_obj_init",
    "dial_push_position",
    "peg_head_pos_init",
    "stick_init_pos",
    "window_handle_pos_init",
)

# Where the goal of a task is in its model, if not at the model's site "goal": at another site, or
# at an offset (m) from a body that resets place.
_GOAL_SITES = {
    "button-press": "hole",
    "button-press-topdown": "hole",
    "button-press-topdown-wall": "hole",
    "button-press-wall": "hole",
    "coffee-pull": "mug_goal",
    "coffee-push": "mug_goal",
    "faucet-close": "goal_close",
    "faucet-open": "goal_open",
    "hammer": "goal",
    "handle-press": "goalPress",
    "handle-press-side": "goalPress",
    "handle-pull": "goalPull",
    "handle-pull-side": "goalPull",
}
_GOAL_BODIES = {
    "assembly": ("peg", (0.0, 0.0, 0.05)),
    "coffee-button": ("coffee_machine", (0.0, -0.19, 0.3)),
    "disassemble": ("peg", (0.0, 0.0, 0.12)),
    "door-lock": ("door", (0.0, -0.158, -0.039)),
    "door-unlock": ("door", (0.1, -0.158, 0.061)),
}

_FRAME = 18  # hand 3, finger distance 1, two objects' position 3 and quaternion 4
_FINGERS_APART = 0.1  # m, the largest distance


def make(task: Task, frames: bool) -> MetaWorldSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`)."""
    environment = ALL_V3_ENVIRONMENTS[f"{task.native}-v3"]()
    return MetaWorldSimulator(environment, task.native, task.action_repeat)


class MetaWorldSimulator(Simulator):
    """A Meta-World environment: its resets and rewards, our step and observation.

    The package's own step computes bounds, copies and look-ups by name that come out the same at
    every call; here they are computed once. States, observations and rewards are equal to the
    last bit.

    Args:
        environment: An instance of one of the package's V3 classes.
        native: The task's name in the package, without its version.
        action_repeat: Raw steps (0.0125 s each) per agent step.
    """

    in_cycles = True

    def __init__(self, environment: Any, native: str, action_repeat: int) -> None:
        self._env = environment
        self._native = native
        self._action_repeat = action_repeat
        self._model: mujoco.MjModel = environment.model
        self._data: mujoco.MjData = environment.data
        self._renderer: MujocoRenderer | None = None

        # What the package's goal-observable classes set, without the reset they draw from the
        # global generator.
        environment._partially_observable = False
        environment._freeze_rand_vec = False
        environment._set_task_called = True
        environment.seeded_rand_vec = True  # draw from environment.np_random, set at each reset
        # The package's goes over all contacts in Python, up to half the time of a step.
        environment.touching_object = self._touching
        metaworld_maths.use_in(environment)
        del environment.sawyer_observation_space  # cached with the goal hidden
        bounds = environment.sawyer_observation_space
        self._low, self._high = bounds.low, bounds.high

        welds = self._model.eq_type == mujoco.mjtEq.mjEQ_WELD
        self._model.eq_data[welds, -1] = _WELD_TORQUE_SCALE
        self._model.camera(_CAMERA).pos = _CAMERA_POSITION
        self._placed = {field: getattr(self._model, field).copy() for field in _PLACED_BY_RESET}
        self._constructed = dict(vars(environment))

        # Views, which follow the simulation.
        self._hand = self._data.body("hand").xpos
        self._right_claw = self._data.body("rightclaw").xpos
        self._left_claw = self._data.body("leftclaw").xpos
        self._pads = [self._model.geom(name).id for name in ("leftpad_geom", "rightpad_geom")]

    def reset(self, rng: np.random.Generator) -> None:
        """Places objects and goal, settles the hand, and takes one raw step without action."""
        env, model, data = self._env, self._model, self._data
        vars(env).update(self._constructed)
        env.np_random = rng
        for field, values in self._placed.items():
            getattr(model, field)[:] = values
        # The package places everything twice. Settling the hand the first time leaves no trace.
        mujoco.mj_resetData(model, data)
        mujoco.mj_forward(model, data)
        env._reset_hand = partial(env._reset_hand, steps=0)
        env.reset_model()
        del env._reset_hand
        mujoco.mj_resetData(model, data)
        env.reset_model()
        if self._native == "dial-turn":
            mujoco.mj_forward(model, data)
            env._prev_obs = self._frame()
        self._raw_step(np.zeros(4, np.float32))

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` raw steps; success is that of the last."""
        reward = 0.0
        success = 0.0
        for _ in range(self._action_repeat):
            raw_reward, success = self._raw_step(action)
            reward += raw_reward
        return reward, success

    def _raw_step(self, action: np.ndarray) -> tuple[float, float]:
        env, data = self._env, self._data
        target = data.mocap_pos[0] + action[:3] * env.action_scale
        np.clip(target, env.mocap_low, env.mocap_high, out=data.mocap_pos[0])
        data.mocap_quat[0] = (1.0, 0.0, 1.0, 0.0)
        data.ctrl[:] = (action[3], -action[3])
        mujoco.mj_step(self._model, data, nstep=env.frame_skip)
        mujoco.mj_forward(self._model, data)
        self._stack(self._frame(), env._prev_obs)
        reward, info = env.evaluate_state(env._last_stable_obs, action)
        return float(reward), float(info["success"])

    def _touching(self, geom: int) -> bool:
        """Whether both finger pads press on a geom (the package's ``touching_object``)."""
        contact = self._data.contact
        pairs = contact.geom
        of_geom = (pairs == geom).any(axis=1)
        for pad in self._pads:
            between = of_geom & (pairs == pad).any(axis=1)
            if not self._data.efc_force[contact.efc_address[between]].sum() > 0.0:
                return False
        return True

    def _frame(self) -> np.ndarray:
        """Hand, finger distance in [0, 1], and objects as they are now: ``(18,)`` float64."""
        frame = np.zeros(_FRAME)
        frame[:3] = self._hand
        apart = float(np.linalg.norm(self._right_claw - self._left_claw))
        frame[3] = min(apart / _FINGERS_APART, 1.0)
        positions = self._env._get_pos_objects()
        quaternions = self._env._get_quat_objects()
        for i in range(len(positions) // 3):
            start = 4 + 7 * i
            frame[start : start + 3] = positions[3 * i : 3 * i + 3]
            frame[start + 3 : start + 7] = quaternions[4 * i : 4 * i + 4]
        return frame

    def _stack(self, frame: np.ndarray, previous: np.ndarray) -> None:
        """Makes two frames and the goal the present observation, clipped to its bounds."""
        env = self._env
        observation = np.concatenate((frame, previous, env._target_pos))
        env._last_stable_obs = np.clip(observation, self._low, self._high, out=observation)
        env._prev_obs = frame

    def observe(self, out: np.ndarray) -> None:
        """Writes the present frame, that of one raw step earlier, and the goal."""
        out[:] = self._env._last_stable_obs

    def render(self) -> np.ndarray:
        """Draws the scene from the published camera, whose frame is flipped vertically."""
        if self._renderer is None:
            self._renderer = MujocoRenderer(self._model, _CAMERA)
        return np.ascontiguousarray(self._renderer.render(self._data)[::-1])

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns ``state``, the model arrays that resets change, and the task's variables."""
        variables = {
            f"task/{name}": np.array(value)
            for name in _VARIABLES
            if (value := vars(self._env).get(name)) is not None and not self._is_live(value)
        }
        arrays = mujoco_state.get_state(self._model, self._data, _PLACED_BY_RESET)
        return {**arrays, **variables}

    def state_forms(self) -> dict[str, Form]:
        """Adds what recordings hold: more model arrays, and the package's other variables."""
        variables = {
            f"task/{name}": (np.shape(value), np.asarray(value).dtype)
            for name, value in vars(self._env).items()
            if isinstance(value, (float, int, np.ndarray, np.number))
        }
        recorded = mujoco_state.forms(self._model, self._data, also=("eq_data",))
        return {**recorded, **variables, **super().state_forms()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state.

        Args:
            state: What :meth:`get_state` returned. Variables that are live views follow from the
                simulation, whatever ``state`` says. Without the goal it is derived from the
                model arrays; the other variables then stay those of the last reset. Variables of
                the package that no later step reads have no effect.
        """
        env, data = self._env, self._data
        mujoco_state.set_state(self._model, data, state, _PLACED_BY_RESET)
        mujoco.mj_forward(self._model, data)
        variables = {name: state[f"task/{name}"] for name in _VARIABLES if f"task/{name}" in state}
        for name, value in variables.items():
            if name in vars(env) and not self._is_live(getattr(env, name)):
                setattr(env, name, value if value.ndim else value.item())
        if "_target_pos" not in variables and not self._is_live(env._target_pos):
            env._target_pos = self._goal()
        if "_last_stable_obs" not in variables:
            frame = self._frame()
            self._stack(frame, variables.get("_prev_obs", frame))

    def _goal(self) -> np.ndarray:
        """Where the model's arrays put the goal: ``(3,)``, in metres."""
        if site := _GOAL_SITES.get(self._native):
            return self._data.site(site).xpos.copy()
        if self._native in _GOAL_BODIES:
            body, offset = _GOAL_BODIES[self._native]
            return self._data.body(body).xpos + offset
        return self._model.site("goal").pos.copy()

    def _is_live(self, value: Any) -> bool:
        """Whether a variable is a view of positions in the simulation."""
        return isinstance(value, np.ndarray) and (
            np.may_share_memory(value, self._data.xpos)
            or np.may_share_memory(value, self._data.site_xpos)
        )

    def close(self) -> None:
        """Frees the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
