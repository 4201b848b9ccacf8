"""Does sampling from the replay buffer cost the same however many transitions it holds?

    uv run python benchmarks/replay_sampling.py

Fills buffers of 200 environments with 10,000, a million and ten million rows, and one of a million
rows with the features of frames. Then times one batch of 1,024 windows from each, in turn. The
ratio is against the smallest buffer without features; what growth there is comes from the
processor's caches and page tables. Takes 8 GB of memory.
"""

import resource
import time

import numpy as np
import torch

from newt_agent.replay import Replay
from newt_agent.vision import NO_IMAGE, ImageFormat, image_format

ROWS = (10_000, 1_000_000, 10_000_000)
ENVS = 200
BATCH = 1024
HORIZON = 3
REPEATS = 30
EPISODE = 500


def filled(rows: int, image: ImageFormat) -> Replay:
    """A buffer that is full."""
    replay = Replay(rows, ENVS, HORIZON, torch.arange(ENVS), image=image)
    # Written directly: adding millions of rows one step at a time would take minutes.
    replay._obs.normal_()
    replay._image.normal_()
    replay._rows_written[:] = replay.rows_per_env
    replay._row_step[:] = np.arange(replay.rows_per_env) % (EPISODE + 1)
    return replay


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    features = image_format("state+rgb", "dinov2")
    buffers = {f"{rows:,}": filled(rows, NO_IMAGE) for rows in ROWS}
    buffers[f"{ROWS[1]:,} with features"] = filled(ROWS[1], features)
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in buffers}
    for _ in range(REPEATS):
        for name, replay in buffers.items():
            start = time.perf_counter()
            replay.sample(BATCH, rng)
            times[name].append(time.perf_counter() - start)
    base = float(np.median(times[f"{ROWS[0]:,}"]))
    print(f"{'rows':>24} {'ms a batch':>12} {'ratio':>8}")
    for name, values in times.items():
        median = float(np.median(values))
        print(f"{name:>24} {1e3 * median:>12.2f} {median / base:>8.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.1f} GiB")


if __name__ == "__main__":
    main()
