"""Policies of PPO that mmbench's experts play without torch."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmbench import catalog
from mmbench.demos.experts.trained import Network, Trained
from mmbench.env import TaskEnv
from mmbench.runs.files import publish_folder
from mmbench_baselines.bc import BC, BCConfig
from mmbench_baselines.ppo import PPO, PPOConfig

SCRIPT = Path(__file__).parents[2] / "mmbench" / "scripts" / "export_policy.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("export_policy", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("encoder", ["minilm", "none"])
def test_the_network_acts_as_the_agent(script, tmp_path, encoder):
    tasks = catalog.select("finger-spin")
    agent = PPO.create_agent(PPOConfig(size="XS", encoder=encoder), tasks, torch.device("cpu"))
    rng = np.random.default_rng(0)
    seen = rng.normal(2.0, 3.0, (50, 9)) * np.arange(1.0, 10.0)
    padded = torch.zeros(50, 128)
    padded[:, :9] = torch.as_tensor(seen)
    row = torch.zeros(50, dtype=torch.long)
    agent.model.normaliser.update(
        padded, row, agent.model.observation_mask, torch.ones(50, dtype=torch.bool)
    )
    with torch.no_grad():
        for parameter in agent.model.actor.parameters():
            parameter += 0.3 * torch.as_tensor(rng.standard_normal(parameter.shape))
        script.network_of(agent).save(tmp_path / "policy.npz")
    network = Network.load(tmp_path / "policy.npz")
    seen[0] *= 100.0  # beyond what is told apart
    padded[0] *= 100.0
    expected = agent.act_on(padded, row, row == 0)
    found = np.array([network.act(obs) for obs in seen])
    np.testing.assert_allclose(found, expected[:, :2], atol=2e-5)
    assert np.abs(found).max() > 0.5 and found.std(0).min() > 0.05


def save(method, config, folder):
    """The checkpoint of an untrained agent."""
    agent = method.create_agent(config, catalog.select("finger-spin"), torch.device("cpu"))
    publish_folder(folder, agent.save)


def run(script, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["export_policy.py", *map(str, words)])
    script.main()


def test_what_is_exported_is_an_expert(script, tmp_path, monkeypatch, capsys):
    save(PPO, PPOConfig(size="XS"), tmp_path / "run" / "checkpoints" / "best")
    run(script, monkeypatch, tmp_path / "run", "--out", tmp_path / "new" / "networks")
    out, err = capsys.readouterr()
    assert "finger-spin.npz, from " in out and "checkpoints/best" in out and "untrained" in err

    class Mine(Trained):
        folder = tmp_path / "new" / "networks"

    env, expert = TaskEnv("finger-spin", unify=False), Mine()
    obs, _ = env.reset(seed=0)
    expert.begin(env, obs, np.random.default_rng(0))
    assert expert.act(obs).tolist() == [0.0, 0.0]


def test_what_cannot_be_exported_is_one_line(script, tmp_path, monkeypatch):
    save(BC, BCConfig(size="XS"), tmp_path / "bc")
    save(PPO, PPOConfig(size="XS"), tmp_path / "ppo")
    (tmp_path / "file").touch()
    for words, told in (
        ((tmp_path / "nothing", "--out", tmp_path), "nothing"),
        ((tmp_path / "bc", "--out", tmp_path), "an agent of bc that knows 1 tasks"),
        ((tmp_path / "ppo", "--out", tmp_path / "file"), "cannot be written"),
    ):
        with pytest.raises(SystemExit, match=told):
            run(script, monkeypatch, *words)
