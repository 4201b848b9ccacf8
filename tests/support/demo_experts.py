"""Experts for tests: simple policies, and what can go wrong with one. Workers can import them."""

import os
import signal

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


class Wild(Expert):
    """Acts at random, and plays with its environment before it does."""

    name = "random numbers"

    def begin(self, env, obs, rng):
        self.rng, self.size = rng, env.task.action_dim
        env.step(np.ones(self.size, np.float32))

    def act(self, obs):
        return self.rng.uniform(-1, 1, self.size)


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
