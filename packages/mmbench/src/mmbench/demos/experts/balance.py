"""Poles on carts and the pendulum: LQR about the top, energy control below.

Source of the energy control: Aström and Furuta 2000, "Swinging up a pendulum by energy control".
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable

import numpy as np

from miniarcade.games import cartpole
from mmbench.demos.experts import Expert
from mmbench.demos.experts.lqr import lqr_gain
from mmbench.env import TaskEnv

Dynamics = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From a state and an action to the next state."""


class Balance(Expert):
    """Balances a chain of poles, the first of which swings up.

    A state (2n,) is n positions, then their velocities. All are zero at the top. Where there is
    a cart, its place (m) comes first, then the poles' angles (rad).
    """

    name = "LQR, and energy control below"
    BASIN = 0.35  # rad, of the pole from the top, in which LQR takes over
    PUMP = 3.0  # action per unit of missing energy and speed
    CENTRE = np.array((0.15, 0.2))  # action per m and per m/s of the cart
    frequency2: float
    """1/s^2, of the hanging pole's small swings."""

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Computes the gains, from the dynamics at the top."""
        self._env = env
        state = self._read(obs)
        self._pole = 1 if len(state) > 2 else 0  # after the cart
        joints = len(state) // 2
        costs = np.full(2 * joints, 0.1)
        costs[:joints] = 10.0
        costs[: self._pole] = 1.0
        self._gain = lqr_gain(self._dynamics(), costs, np.array((0.1,)))

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Balances or pumps."""
        state = self._read(obs)
        if abs(state[self._pole]) < self.BASIN:
            return np.clip(-self._gain @ state, -1.0, 1.0)
        return np.clip([self._pump(state)], -1.0, 1.0)

    def _pump(self, state: np.ndarray) -> float:
        """The action that brings the pole's energy to what it is at the top."""
        joints = len(state) // 2
        angle, speed = state[self._pole], state[joints + self._pole]
        energy = 0.5 * speed**2 + self.frequency2 * (math.cos(angle) - 1.0)
        missing = self._target(angle) - energy
        if not self._pole:  # the action turns the pole
            return self.PUMP * missing * speed
        push = -self.PUMP * missing * speed * math.cos(angle)
        cart = self.CENTRE @ state[[0, joints]]
        return min(max(push, -1.0), 1.0) - float(cart)

    def _target(self, angle: float) -> float:
        """The energy to reach; 0 at the top, rad^2/s^2."""
        return 0.0

    @abc.abstractmethod
    def _read(self, obs: np.ndarray) -> np.ndarray:
        """Returns the state."""

    @abc.abstractmethod
    def _dynamics(self) -> Dynamics:
        """Returns how a step goes near the top."""


class ArcadeCartPole(Balance):
    """MiniArcade's, whose angle is not wrapped."""

    frequency2 = cartpole.GRAVITY / (4.0 / 3.0 * cartpole.HALF_LENGTH)

    def _target(self, angle: float) -> float:
        # On the far side the pole is kept from the top: having gone round, it would not count.
        return -1.2 * self.frequency2 if abs(angle) > math.pi else 0.0

    def _read(self, obs: np.ndarray) -> np.ndarray:
        return obs[[0, 2, 1, 3]].astype(float)

    def _dynamics(self) -> Dynamics:
        def step(state: np.ndarray, action: np.ndarray) -> np.ndarray:
            _, angle, _, speed = state.tolist()
            forces = math.sin(angle), math.cos(angle), speed, float(action[0])
            acceleration = cartpole.accelerations(*forces, shake=0.0)
            return state + cartpole.DT * np.array((*state[2:], *acceleration))

        return step


class MujocoBalance(Balance):
    """DMControl's and Gymnasium's: positions and velocities are those of MuJoCo's state."""

    JOINTS = {3: 1, 4: 2, 5: 2, 8: 3}  # by the size of the observation
    FIRST = 1  # entry of the simulator's state; the time is before
    frequency2 = 9.81 / (2.0 / 3.0)  # a pole of 1 m

    def _read(self, obs: np.ndarray) -> np.ndarray:
        joints = self.JOINTS[len(obs)]
        state = self._env.get_state()["state"][self.FIRST :][: 2 * joints].astype(float)
        first = 1 if joints > 1 else 0
        state[first] = math.remainder(state[first], 2 * math.pi)
        return state

    def _dynamics(self) -> Dynamics:
        """The environment's own, tried out."""
        env, start = self._env, self._env.get_state()

        def step(state: np.ndarray, action: np.ndarray) -> np.ndarray:
            full = start["state"].copy()
            full[self.FIRST :][: len(state)] = state
            env.set_state({**start, "state": full})
            env.advance(action)
            after = env.get_state()["state"][self.FIRST :][: len(state)].astype(float)
            env.set_state(start)
            return after

        return step


class ManiSkillCartPole(MujocoBalance):
    """ManiSkill's, whose action moves the cart towards a place relative to where it is."""

    FIRST = 13  # root pose and velocity are before
    TOP_SPEED = 10.0  # m/s, of the cart at action 1
    STEP = 0.1  # s, about
    PUSH = 10.0  # m/s^2, at a full push

    def _read(self, obs: np.ndarray) -> np.ndarray:
        x, angle, *speeds = obs[:4].tolist()
        return np.array((x, math.remainder(angle, 2 * math.pi), *speeds))

    def _pump(self, state: np.ndarray) -> float:
        push = super()._pump(state)
        return (state[2] + self.STEP * self.PUSH * push) / self.TOP_SPEED


class Pendulum(MujocoBalance):
    """DMControl's pendulum, which a motor too weak to lift it turns."""

    frequency2 = 9.81 / 0.5
    BASIN = 0.2


class SpinningPendulum(Expert):
    """Pushes the pendulum the way it turns."""

    name = "push the way it turns"

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Needs nothing."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Pushes."""
        return np.array([1.0 if obs[2] >= 0.0 else -1.0])
