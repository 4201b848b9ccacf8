from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
from virtual_screen import screen

import miniarcade
from miniarcade.arcade import ArcadeEnv

__all__ = ["screen"]


@pytest.fixture
def make() -> Callable[..., ArcadeEnv]:
    """Makes the bare environment of a task by name."""

    def make(name: str, **kwargs) -> ArcadeEnv:
        env = gym.make(miniarcade.get_task(name).id, **kwargs).unwrapped
        assert isinstance(env, ArcadeEnv)
        return env

    return make


@pytest.fixture
def fresh(make) -> Callable[..., ArcadeEnv]:
    """Makes the bare environment of a task, already reset."""

    def fresh(name: str, seed: int = 0, **kwargs) -> ArcadeEnv:
        env = make(name, **kwargs)
        env.reset(seed=seed)
        return env

    return fresh


@pytest.fixture
def pixel(fresh) -> Callable[[ArcadeEnv, float, float], np.ndarray]:
    """Reads the colour that a game draws at a world position."""

    def pixel(env: ArcadeEnv, x: float, y: float) -> np.ndarray:
        frame = env.render()
        assert frame is not None
        return frame[int(y), int(x)].astype(int)

    return pixel


@pytest.fixture(scope="session")
def episodes() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Plays whole episodes with one of the policies of the reference measurements."""

    def episodes(name: str, policy: str, count: int):
        env = gym.make(miniarcade.get_task(name).id).unwrapped
        assert isinstance(env, ArcadeEnv)
        length, size = env.task.max_episode_steps, env.game.action_size
        rng = np.random.default_rng(1)
        observations, rewards, scores = [], [], []
        for episode in range(count):
            if policy == "zero":
                actions = np.zeros((length, size))
            else:
                actions = rng.uniform(-1, 1, (length, size))
                if policy == "hold":
                    actions = actions[::10].repeat(10, axis=0)
            observation, _ = env.reset(seed=episode)
            steps = [env.step(action) for action in actions]
            observations.append([observation, *(step[0] for step in steps)])
            rewards.append([step[1] for step in steps])
            scores.append(steps[-1][4]["score"])
        return np.array(observations, float), np.array(rewards), np.array(scores)

    return episodes
