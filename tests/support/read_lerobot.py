"""Reads a dataset with the package lerobot, step by step, and compares it with arrays.

Run by an environment that has lerobot: `python read_lerobot.py DATASET ARRAYS INSTRUCTION`.
"""

import sys

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from torch.utils.data import DataLoader

IMAGE = "observation.image"
folder, arrays, instruction = sys.argv[1:]
expected = np.load(arrays)

dataset = LeRobotDataset("mmbench/exported", root=folder, video_backend="pyav")
assert dataset.num_episodes == len(expected["length"]), dataset
assert len(dataset) == expected["length"].sum(), dataset
ends = np.cumsum(expected["length"])
worst = 0.0
for i, item in enumerate(dataset):
    episode = int(np.searchsorted(ends, i, side="right"))
    assert item["task"] == instruction, item["task"]
    assert int(item["episode_index"]) == episode and int(item["index"]) == i
    np.testing.assert_array_equal(item["observation.state"].numpy(), expected["state"][i])
    np.testing.assert_array_equal(item["action"].numpy().reshape(-1), expected["action"][i])
    assert item["next.reward"] == expected["reward"][i]
    assert bool(item["next.done"]) == (i + 1 in ends)
    frame = item[IMAGE].permute(1, 2, 0).numpy() * 255.0
    worst = max(worst, float(np.abs(frame - expected["frames"][i]).mean()))
assert worst < 4.0, f"a frame differs by {worst} of 255 on average"

stats = dataset.meta.stats
np.testing.assert_allclose(stats["observation.state"]["mean"], expected["state"].mean(0), atol=1e-5)
assert stats[IMAGE]["mean"].shape == (3, 1, 1)

# As policies are trained: a window of actions, and batches.
fps = dataset.fps
windows = LeRobotDataset(
    "mmbench/exported",
    root=folder,
    video_backend="pyav",
    delta_timestamps={"action": [j / fps for j in range(4)], IMAGE: [-1 / fps, 0.0]},
)
batch = next(iter(DataLoader(windows, batch_size=8, shuffle=True)))
assert batch["action"].shape[:2] == (8, 4) and batch[IMAGE].shape == (8, 2, 3, 224, 224)

# One episode alone.
last = LeRobotDataset("mmbench/exported", root=folder, episodes=[len(ends) - 1])
assert len(last) == expected["length"][-1]
print(
    f"{len(dataset)} steps of {dataset.num_episodes} episodes at {fps} a second; "
    f"worst frame {worst:.2f} of 255"
)
