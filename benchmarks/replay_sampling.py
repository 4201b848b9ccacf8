"""Does sampling from the replay buffer cost the same however many transitions it holds?

Fills buffers of growing size with 200 environments and times one batch of 1024 windows from each,
in turn: `uv run python benchmarks/replay_sampling.py [--rows 4000000]`. The ratio is against the
smallest buffer; what growth there is comes from the processor's caches and page tables.
"""

import argparse
import resource
import time

import numpy as np
import torch

from newt_agent.replay import Replay

ENVS = 200
BATCH = 1024
HORIZON = 3
REPEATS = 30
EPISODE = 500


def filled(rows: int) -> Replay:
    """A buffer that is full."""
    replay = Replay(rows, ENVS, HORIZON, torch.arange(ENVS))
    # Written directly: adding millions of rows one step at a time would take minutes.
    replay._obs.normal_()
    replay._rows_written[:] = replay.rows_per_env
    replay._row_step[:] = np.arange(replay.rows_per_env) % (EPISODE + 1)
    return replay


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000, help="of the largest buffer")
    largest = parser.parse_args().rows
    torch.set_num_threads(1)
    buffers = {rows: filled(rows) for rows in (largest // 1000, largest // 30, largest)}
    rng = np.random.default_rng(0)
    times: dict[int, list[float]] = {rows: [] for rows in buffers}
    for _ in range(REPEATS):
        for rows, replay in buffers.items():
            start = time.perf_counter()
            replay.sample(BATCH, rng)
            times[rows].append(time.perf_counter() - start)
    base = float(np.median(times[largest // 1000]))
    print(f"{'rows':>12} {'ms a batch':>12} {'ratio':>8}")
    for rows, values in times.items():
        median = float(np.median(values))
        print(f"{rows:>12,} {1e3 * median:>12.2f} {median / base:>8.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.1f} GiB")


if __name__ == "__main__":
    main()
