"""Every example of docs/libraries.md, run as it stands where its library is installed."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "libraries.md"
NEEDS = {
    "Stable-Baselines3": ["stable_baselines3"],
    "CleanRL": ["gymnasium"],
    "TorchRL": ["torchrl"],
    "RLlib": ["ray"],
    "Tianshou": ["tianshou"],
    "skrl": ["skrl"],
    "Minari": ["minari", "h5py", "jax"],
    "dm_env": ["dm_env"],
}
EXAMPLES = dict(re.findall(r"^## (\S+)\n.*?```python\n(.*?)```", PAGE.read_text(), re.M | re.S))


def run(library):
    missing = [module for module in NEEDS[library] if find_spec(module) is None]
    if missing:
        pytest.skip(f"{library}: {', '.join(missing)} is not installed")
    names = {}
    exec(compile(EXAMPLES[library], f"docs/libraries.md, {library}", "exec"), names)
    return names


def test_every_library_of_the_table_has_an_example_and_a_test():
    rows = re.findall(r"^\| \[(.*?)\]", PAGE.read_text(), re.M)
    assert rows == list(EXAMPLES) == list(NEEDS)


def test_stable_baselines3(capsys):
    names = run("Stable-Baselines3")
    assert names["model"].num_timesteps == 60
    assert 0 <= float(capsys.readouterr().out.split()[-1]) <= 1


def test_cleanrl():
    names = run("CleanRL")
    assert names["truncated"].all()
    assert names["infos"]["final_info"]["episode"]["l"].tolist() == [200, 200]
    assert np.abs(names["obs"]).max() <= 10


def test_torchrl():
    names = run("TorchRL")
    assert len(names["episode"]) == 200
    ends = names["many"]["next", "truncated"][..., 0]
    assert ends.sum(1).tolist() == [1, 0] and ends[0, 199]
    steps = names["many"][0]
    assert (steps[198]["next", "observation"] == steps[199]["observation"]).all()
    # The end is of the old episode, and a new one's start follows.
    assert (steps[199]["next", "observation"] != steps[200]["observation"]).any()


def test_rllib():
    run("RLlib")


def test_tianshou():
    success = run("Tianshou")["collector"].buffer.info.success
    assert (success == -1).any() and np.isfinite(success).all()


def test_skrl():
    names = run("skrl")
    assert names["truncated"].flatten().tolist() == [True, False]
    assert names["obs"].shape == (2, 128)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_minari(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", os.fspath(tmp_path))
    names = run("Minari")
    episode = names["episode"]
    assert episode.infos.keys() == {"score", "success"} and len(episode.infos["score"]) == 201
    assert episode.infos["score"][-1] == names["info"]["score"]
    assert names["dataset"].env_spec.max_episode_steps == 200
    np.testing.assert_array_equal(names["again"].reset(seed=0)[0], episode.observations[0])


def test_dm_env():
    names = run("dm_env")
    assert names["timestep"].last() and names["timestep"].discount == 1.0
    names["env"].observation_spec().validate(names["timestep"].observation)
    assert names["env"].step(names["env"].action_spec().minimum).first()
