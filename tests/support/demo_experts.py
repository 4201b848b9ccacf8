"""Experts for tests: simple policies, and what can go wrong with one. Workers can import them."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from mmbench.demos.experts import Expert


class Balance(Expert):
    """Balances the pole of ``pygame-cartpole-balance``."""

    name = "linear controller"

    def begin(self, env, obs, rng):
        self.gain = np.array([0.1, 0.3, 5.0, 1.0])  # of place, speed, angle, turning

    def act(self, obs):
        return np.clip([obs @ self.gain], -1, 1)


class Still(Expert):
    """Does nothing."""

    name = "nobody"

    def begin(self, env, obs, rng):
        self.action = np.zeros(env.task.action_dim)

    def act(self, obs):
        return self.action


class Numbered(Still):
    """Has no name."""

    name = 5


class Begun(Expert):
    """Is not written yet."""

    name = "nobody"


class Wild(Expert):
    """Acts at random, and tries an action out where it can, before it does."""

    name = "random numbers"

    def begin(self, env, obs, rng):
        self.rng, self.size = rng, env.task.action_dim
        try:
            state = env.get_state()
        except NotImplementedError:
            return
        env.step(np.ones(self.size, np.float32))
        env.set_state(state)

    def act(self, obs):
        return self.rng.uniform(-1, 1, self.size)


class Careless(Wild):
    """Leaves its environment a step later."""

    def begin(self, env, obs, rng):
        super().begin(env, obs, rng)
        env.step(np.ones(self.size, np.float32))


class Cheat(Still):
    """Puts its environment back to the start before every action, all but the count of steps."""

    def begin(self, env, obs, rng):
        super().begin(env, obs, rng)
        self.env, self.start = env, env.get_state()

    def act(self, obs):
        now = self.env.get_state()
        self.env.set_state({**self.start, **{key: now[key] for key in now if "env/" in key}})
        return super().act(obs)


class Moody(Balance):
    """Balances in some episodes, and does nothing in others."""

    def begin(self, env, obs, rng):
        super().begin(env, obs, rng)
        if rng.random() < 0.4:
            self.gain = np.zeros(4)


class Unsteady(Moody):
    """Thinks longer about some episodes than about others."""

    def begin(self, env, obs, rng):
        super().begin(env, obs, rng)
        time.sleep(0.2 * rng.random())


class Hanging(Still):
    """Never acts, and says that it has begun."""

    def act(self, obs):
        Path("busy").touch()
        time.sleep(10_000)


class Raising(Still):
    """Fails in its third step."""

    def begin(self, env, obs, rng):
        super().begin(env, obs, rng)
        self.left = 3

    def act(self, obs):
        self.left -= 1
        if not self.left:
            raise ArithmeticError("no plan was found")
        return super().act(obs)


class Dying(Raising):
    """Takes its process with it."""

    def act(self, obs):
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Moody):
    """Takes its process with it, the first time that anybody plays."""

    def act(self, obs):
        if not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(obs)


class Told(Moody):
    """Tells of each episode that it has played. The first one to begin lasts for ever."""

    def begin(self, env, obs, rng):
        super().begin(env, obs, rng)
        self.told, self.left = str(rng.integers(2**32)), env.task.max_episode_steps
        try:
            Path("held").touch(exist_ok=False)
        except FileExistsError:
            return
        time.sleep(10_000)

    def act(self, obs):
        self.left -= 1
        if not self.left:
            with Path("played").open("a") as file:
                print(self.told, file=file)
        return super().act(obs)
