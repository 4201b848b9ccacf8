"""Plans that are executed without looking, beside planning at each step."""

import json

import numpy as np
import pytest
import torch
from points import LEFT, RIGHT
from tiny import TINY

from mmbench import catalog
from mmbench.runs import RunError, publish_folder
from newt_agent.cli_eval import eval_main
from newt_agent.evaluate import make_environments
from newt_agent.open_loop import compare_open_loop
from newt_agent.planner import Planner
from newt_agent.planning_agent import PlanningAgent

SEED, HORIZON = 3, 6
PLAN = np.array([1.0, 1.0, -0.5, 0.25, -1.0, 0.0])
"""What the planner of these tests plans ahead; its own next action is always 0."""


def make_agent(tasks):
    generator = torch.Generator().manual_seed(0)
    return PlanningAgent.create(tasks, "XS", "minilm", TINY.planner, generator)


@pytest.fixture
def plans(monkeypatch):
    """Makes plans known; holds the horizon and the starts of each."""
    made = []

    def plan(self, z, context, prev_mean, first, discount, explore, *_):
        made.append((self.config.horizon, first.tolist()))
        assert not explore
        mean = torch.zeros(len(z), self.config.horizon, 16)
        mean[:, :, 0] = torch.tensor(PLAN[: self.config.horizon])
        return torch.zeros(len(z), 16), mean

    monkeypatch.setattr(Planner, "plan", plan)
    return made


def returns_of(task, actions, seeds):
    """Mean returns after 2, 4 and 6 steps of these actions."""
    env = make_environments(tasks=[task], envs_per_task=len(seeds), num_workers=0)
    env.reset(seed=list(seeds))
    rewards = []
    for action in actions:
        whole = np.zeros((len(seeds), 16), np.float32)
        whole[:, 0] = action
        rewards.append(env.step(whole)[1])
    env.close()
    return np.cumsum(rewards, 0).mean(1)[[1, 3, 5]]


@pytest.mark.parametrize("episodes", [1, 12])
def test_a_plan_is_made_once_and_executed_in_order(points, plans, episodes):
    tasks = [RIGHT, LEFT]
    result = compare_open_loop(make_agent(tasks), tasks, HORIZON, episodes, SEED, num_workers=0)
    assert result["steps"] == [2, 4, 6]
    for task in tasks:
        row = result["tasks"][task.name]
        seeds = range(SEED, SEED + episodes)  # the same starts for both
        assert row["closed_loop"] == pytest.approx(returns_of(task, np.zeros(HORIZON), seeds))
        assert row["open_loop"] == pytest.approx(returns_of(task, PLAN, seeds))
        closed, blind = np.array(row["closed_loop"]), np.array(row["open_loop"])
        fraction = np.where(closed > 0, blind / closed, np.nan)
        assert row["fraction"] == pytest.approx(fraction, nan_ok=True)
    both = [row["fraction"] for row in result["tasks"].values()]
    assert result["fraction"] == pytest.approx(np.nanmean(both, 0))
    rounds = 1 if episodes == 1 else 2
    assert [horizon for horizon, _ in plans].count(HORIZON) == rounds
    assert [horizon for horizon, _ in plans].count(TINY.planner.horizon) == rounds * HORIZON
    assert all(all(first) for horizon, first in plans if horizon == HORIZON)


def test_a_fraction_of_nothing_is_none(points, plans, monkeypatch):
    monkeypatch.setattr("points.Point.step", lambda self, action: (-1.0, np.nan))
    result = compare_open_loop(make_agent([RIGHT]), [RIGHT], HORIZON, 2, SEED, num_workers=0)
    assert result["tasks"][RIGHT.name]["closed_loop"] == [-2, -4, -6]
    assert np.isnan(result["tasks"][RIGHT.name]["fraction"]).all()
    assert np.isnan(result["fraction"]).all()


def test_plans_fit_into_episodes(points):
    with pytest.raises(RunError, match="--open-loop 24: an episode of point-right has only 20"):
        compare_open_loop(make_agent([RIGHT]), [RIGHT], 24, 2, SEED, num_workers=0)


def test_the_command_line_prints_and_writes_it(tmp_path, capsys):
    name = "pygame-landing"
    publish_folder(tmp_path / "agent", make_agent(catalog.select(name)).save)
    flags = f"--checkpoint {tmp_path}/agent --open-loop 24 --episodes 2 --num-workers 0 --threads 1"
    eval_main([*flags.split(), "--json", str(tmp_path / "result.json")])
    told = " ".join(capsys.readouterr().out.split())
    assert "Return of 24 steps planned at once" in told and name in told
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["open_loop"]["steps"] == [8, 16, 24]
    assert set(result["open_loop"]["tasks"]) == {name}
    assert {"checkpoint", "seed", "versions"} <= set(result)
    for more in ("--no-plan", "--random", f"--video {tmp_path}/videos"):
        with pytest.raises(SystemExit):
            eval_main([*flags.split(), *more.split()])
        assert "--open-loop" in capsys.readouterr().err
