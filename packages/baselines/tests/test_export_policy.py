"""Policies of PPO that mmbench's experts play without torch."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from mmbench import catalog
from mmbench.demos.experts.trained import Network
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
