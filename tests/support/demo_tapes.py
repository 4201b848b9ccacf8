"""Tapes for tests, and archives that look like them."""

import functools
import io
import zipfile

import numpy as np

from mmbench import catalog
from mmbench.demos.tape import Episode, Recording, Tape, to_bytes

TASK = catalog.get("pygame-cartpole-balance")


def recording(episodes=1, **others):
    fields = {"attempts": episodes, "expert": "somebody", "command": "mmbench demos collect"}
    fields |= {"seed": 0, "versions": {"numpy": "2.1.0"}, "processor": "one"}
    return Recording(episodes, **{**fields, **others})


def tape(episodes):
    """A tape that no simulator has seen."""
    rng = np.random.default_rng(0)
    steps = TASK.max_episode_steps
    return Tape(
        TASK.versioned_name,
        tuple(
            Episode(
                seed,
                rng.uniform(-1, 1, (steps, TASK.action_dim)).astype(np.float16),
                rng.integers(0, 2**32, steps + 1).astype(np.uint32),
                400.0 + seed,
                0.8,
                np.nan,
            )
            for seed in range(episodes)
        ),
        (recording(episodes),),
    )


@functools.cache
def members():
    """The content of a good tape's members, by name."""
    with zipfile.ZipFile(io.BytesIO(to_bytes(tape(2)))) as archive:
        return {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}


def packed(content, how=zipfile.ZIP_STORED):
    """An archive of members."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", how) as archive:
        for name, member in content.items():
            archive.writestr(f"{name}.npy", member)
    return data.getvalue()


def array_bytes(array):
    """An array as NumPy saves it, pickles too."""
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()
