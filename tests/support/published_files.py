"""Files of the layout of the published demonstrations, made by PyTorch and tensordict."""

import numpy as np
import pytest

from mmbench import catalog

torch = pytest.importorskip("torch")
tensordict = pytest.importorskip("tensordict")

TASK = catalog.get("mujoco-reacher")  # 50 steps, scored by its return


def rows(task=TASK, episodes=2, seed=0, feat=False):
    """The tensors of a file, with T + 1 rows for an episode."""
    rng, length = np.random.default_rng(seed), task.max_episode_steps + 1
    n = episodes * length
    obs = np.zeros((n, 128), np.float32)
    obs[:, : task.obs_dim] = rng.normal(size=(n, task.obs_dim))
    action = rng.uniform(-1, 1, (n, 16)).astype(np.float32)
    reward = rng.normal(size=n).astype(np.float32)
    first = np.arange(n) % length == 0
    action[first], reward[first] = np.nan, np.nan
    tensors = {
        "obs": obs,
        "action": action,
        "reward": reward,
        "value": reward,
        "terminated": np.zeros(n, bool),
        "episode": np.repeat(np.arange(episodes), length),
    }
    if feat:
        tensors["feat"] = rng.normal(size=(n, 768)).astype(np.float32)
    return {name: torch.from_numpy(array) for name, array in tensors.items()}


def save(folder, task=TASK, changes=None, **arguments):
    """Saves the file of a task, with some tensors replaced, and returns its path."""
    return save_tensors(folder / f"{task.name}.pt", {**rows(task, **arguments), **(changes or {})})


def save_tensors(path, tensors):
    torch.save(tensordict.TensorDict(tensors, batch_size=[len(tensors["episode"])]), path)
    return path
