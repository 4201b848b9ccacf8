"""Reads a dataset with the package lerobot, step by step, and compares it with arrays.

Run by an environment that has lerobot: `python read_lerobot.py DATASET ARRAYS INSTRUCTION`.
"""

import sys

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.datasets.video_utils import decode_video_frames
from torch.utils.data import DataLoader

IMAGE = "observation.image"
folder, arrays, instruction = sys.argv[1:]
expected = dict(np.load(arrays))  # else every access would read the file

dataset = LeRobotDataset("mmbench/exported", root=folder, video_backend="pyav")
assert dataset.num_episodes == len(expected["length"]), dataset
assert len(dataset) == expected["length"].sum(), dataset
ends = np.cumsum(expected["length"])


def check(i, item):
    """Compares one step with what was exported."""
    assert item["task"] == instruction, item["task"]
    assert int(item["episode_index"]) == np.searchsorted(ends, i, side="right")
    assert int(item["index"]) == i
    np.testing.assert_array_equal(item["observation.state"].numpy(), expected["state"][i])
    np.testing.assert_array_equal(item["action"].numpy().reshape(-1), expected["action"][i])
    assert item["next.reward"] == expected["reward"][i]
    assert bool(item["next.done"]) == (i + 1 in ends)


def difference(frame, i):
    """By how much a frame (3, 224, 224) in [0, 1] differs, of 255."""
    return float(np.abs(frame.permute(1, 2, 0).numpy() * 255.0 - expected["frames"][i]).mean())


# Every step and every frame; a tenth of them as training asks for them, one at a time.
worst = 0.0
for i, item in enumerate(dataset.hf_dataset):
    check(i, {**item, "task": dataset.meta.tasks.iloc[int(item["task_index"])].name})
for episode, end in enumerate(ends):
    start = end - expected["length"][episode]
    path = dataset.root / dataset.meta.get_video_file_path(episode, IMAGE)
    times = [float(dataset.hf_dataset[int(i)]["timestamp"]) for i in range(start, end)]
    frames = decode_video_frames(path, times, dataset.tolerance_s, "pyav")
    assert len(frames) == expected["length"][episode]
    worst = max(worst, *map(difference, frames, range(start, end)))
for i in range(0, len(dataset), 10):
    item = dataset[i]
    check(i, item)
    worst = max(worst, difference(item[IMAGE], i))
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
