import json

import numpy as np
import pytest
import torch

from mmbench import catalog
from mmbench.runs import RunError, publish_folder
from newt_agent.agent import Agent, checkpoint_folder
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent

TASKS = catalog.select("walker-walk,pygame-pong,quadruped-run")
PLANNER = PlannerConfig(num_samples=16, num_elites=4, num_pi_trajs=4, iterations=2)


def make(seed: int = 0) -> Agent:
    generator = torch.Generator().manual_seed(seed)
    agent = PlanningAgent.create(TASKS, "S", "minilm", PLANNER, generator)
    with torch.no_grad():  # an untrained policy is almost the same for every task
        for parameter in agent.model.policy.parameters():
            parameter.mul_(20)
    return agent


@pytest.fixture
def agent():
    return make()


@pytest.fixture
def saved(agent, tmp_path):
    publish_folder(tmp_path / "checkpoint", agent.save)
    return tmp_path / "checkpoint"


def observations(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 128)).astype(np.float32)


@pytest.mark.parametrize("plan", [True, False])
@pytest.mark.parametrize("explore", [True, False])
def test_actions_are_bounded_and_masked(agent, plan, explore):
    agent.plan = plan
    names = [task.name for task in TASKS]
    action = agent.act(observations(3), names, np.ones(3, bool), explore=explore)
    assert action.shape == (3, 16)
    assert action.dtype == np.float32
    assert np.abs(action).max() <= 1.0
    for row, task in zip(action, TASKS, strict=True):
        assert (row[task.action_dim :] == 0).all()
        assert (row[: task.action_dim] != 0).all()


def test_unknown_task_is_named(agent):
    with pytest.raises(RunError, match=r"not trained on cheetah-run; its 3 tasks are walker-walk"):
        agent.act(observations(1), ["cheetah-run"], [True])


@pytest.mark.parametrize(
    ("obs", "tasks", "first", "told"),
    [
        (observations(1)[0], ["walker-walk"], [True], r"obs has the shape \(128,\)"),
        (observations(1), "walker-walk", [True], "tasks is 'walker-walk'"),
        (observations(1), ["walker-walk"], True, r"first \(\)"),
        (observations(2), ["walker-walk"], [True, True], r"obs has the shape \(2, 128\)"),
        (observations(2)[:, :24], ["walker-walk"] * 2, [True] * 2, r"\(2, 24\)"),
        (torch.zeros(1, 128), ["walker-walk"], torch.ones(2), r"first \(2,\)"),
    ],
)
def test_shapes_are_checked_in_one_sentence(agent, obs, tasks, first, told):
    with pytest.raises(ValueError, match=told) as raised:
        agent.act(obs, tasks, first)
    assert "(B, 128)" in str(raised.value) and "obs[None]" in str(raised.value)


def test_limited_discounts_are_used_and_saved(agent, tmp_path):
    own = [task.discount for task in TASKS]
    assert agent.discount.tolist() == pytest.approx(own)
    # What holds the tensor already, as a learner does, sees the limit too.
    held = agent.discount
    agent.limit_discount(1.0)
    assert held.tolist() == pytest.approx(own)
    agent.limit_discount(0.5)
    assert held.tolist() == [0.5] * 3
    publish_folder(tmp_path / "checkpoint", agent.save)
    assert Agent.load(tmp_path / "checkpoint").discount.tolist() == [0.5] * 3


def test_memory_belongs_to_the_rows_and_ends_with_the_episode(agent):
    names = ["walker-walk"] * 2
    with pytest.raises(ValueError, match="pass first=True"):
        agent.act(observations(2), names, [True, False])

    def second_action(first):
        agent.memory = None
        generator = torch.Generator().manual_seed(0)
        agent.act(observations(2), names, [True, True], generator=generator)
        generator.manual_seed(1)
        return agent.act(observations(2), names, first, generator=generator)

    kept, dropped = second_action([False, False]), second_action([False, True])
    np.testing.assert_array_equal(kept[0], dropped[0])
    assert not np.array_equal(kept[1], dropped[1])


def test_loaded_agent_acts_the_same(agent, saved):
    other = Agent.load(saved)
    assert other.tasks == agent.tasks
    assert other.encoder == "minilm"
    names = [task.name for task in TASKS]
    for plan in (True, False):
        agent.plan = other.plan = plan
        actions = [
            one.act(observations(3), names, [True] * 3, generator=torch.Generator().manual_seed(0))
            for one in (agent, other)
        ]
        np.testing.assert_array_equal(*actions)


def test_run_folder_stands_for_its_last_checkpoint(agent, tmp_path):
    publish_folder(tmp_path / "run" / "checkpoints" / "000000005", agent.save)
    (tmp_path / "run" / "checkpoints" / "last").symlink_to("000000005")
    assert checkpoint_folder(tmp_path / "run").name == "000000005"


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest", "empty"])
def test_damaged_checkpoint_is_refused(saved, damage):
    weights = saved / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    elif damage == "cut":
        weights.write_bytes(content[:-10])
    elif damage == "remove":
        weights.unlink()
    elif damage == "manifest":
        (saved / "manifest.json").unlink()
    else:
        for path in saved.iterdir():
            path.unlink()
    with pytest.raises(RunError, match=str(saved)):
        Agent.load(saved)


def test_encoder_of_another_size_is_refused(agent, tmp_path):
    def fill(folder):
        agent.save(folder)
        path = folder / "agent.json"
        about = json.loads(path.read_text())
        about["encoder"]["name"] = "clip"
        path.write_text(json.dumps(about))

    publish_folder(tmp_path / "other", fill)
    with pytest.raises(RunError, match="384 entries.*'clip' gives 512"):
        Agent.load(tmp_path / "other")
