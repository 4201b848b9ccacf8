"""Every example of docs/libraries.md, run as it stands where its library is installed."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "libraries.md"
EXAMPLES = dict(re.findall(r"^## (\S+)\n.*?```python\n(.*?)```", PAGE.read_text(), re.M | re.S))
HANG = 600

# By library, the modules that its example needs, and what holds after it.
CASES = {
    "Stable-Baselines3": (
        ["stable_baselines3"],
        "assert model.num_timesteps == 60 and 0 <= info['score'] <= 1",
    ),
    "CleanRL": (
        ["gymnasium"],
        """
assert truncated.all() and np.abs(obs).max() <= 10
assert infos["final_info"]["episode"]["l"].tolist() == [200, 200]
""",
    ),
    "TorchRL": (
        ["torchrl"],
        """
assert len(episode) == 200
ends = many["next", "truncated"][..., 0]
assert ends.sum(1).tolist() == [1, 0] and ends[0, 199]
steps = many[0]
assert (steps[198]["next", "observation"] == steps[199]["observation"]).all()
# The end is of the old episode, and a new one's start follows.
assert (steps[199]["next", "observation"] != steps[200]["observation"]).any()
""",
    ),
    "RLlib": (["ray"], ""),
    "Tianshou": (
        ["tianshou"],
        "assert set(collector.buffer.info.success[:200]) == {-1.0}",
    ),
    "skrl": (
        ["skrl"],
        "assert truncated.flatten().tolist() == [True, False] and obs.shape == (2, 128)",
    ),
    "Minari": (
        ["minari", "h5py", "jax"],
        """
assert episode.infos.keys() == {"score", "success"} and len(episode.infos["score"]) == 201
assert episode.infos["score"][-1] == info["score"]
assert dataset.env_spec.max_episode_steps == 200
assert (again.reset(seed=0)[0] == episode.observations[0]).all()
""",
    ),
    "dm_env": (
        ["dm_env"],
        """
assert timestep.last() and timestep.discount == 1.0
env.observation_spec().validate(timestep.observation)
assert env.step(env.action_spec().minimum).first()
""",
    ),
}


def test_every_library_of_the_table_has_an_example_and_a_test():
    rows = re.findall(r"^\| \[(.*?)\]", PAGE.read_text(), re.M)
    assert rows == list(EXAMPLES) == list(CASES)


@pytest.mark.parametrize("library", CASES)
def test_example(library, tmp_path):
    modules, checks = CASES[library]
    if missing := [module for module in modules if find_spec(module) is None]:
        pytest.skip(f"{', '.join(missing)}: not installed")
    # In a process of its own, as a user's script is.
    result = subprocess.run(
        [sys.executable, "-c", EXAMPLES[library] + checks],
        env={**os.environ, "MINARI_DATASETS_PATH": os.fspath(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert result.returncode == 0, result.stderr
