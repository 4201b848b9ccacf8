"""Agents on tasks that they were not trained on, and with other instructions."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from no_evaluation import evaluate_nothing
from tiny import TINY

from mmbench import catalog
from mmbench.runs import RunError, publish_folder
from newt_agent.agent import Agent
from newt_agent.cli import parse_training
from newt_agent.cli_eval import eval_main, swap_words
from newt_agent.newt import Newt
from newt_agent.planning_agent import PlanningAgent

OLD, NEW = "pygame-cowboy", "walker-walk"
CPU = torch.device("cpu")


def make_agent(names):
    generator = torch.Generator().manual_seed(0)
    return PlanningAgent.create(
        catalog.select(",".join(names)), "XS", "minilm", TINY.planner, generator
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The folder of an agent that knows one task."""
    folder = tmp_path_factory.mktemp("finetuning") / "checkpoint"
    publish_folder(folder, make_agent([OLD]).save)
    return folder


def act(agent, names):
    agent.plan = False
    obs = np.random.default_rng(0).normal(size=(len(names), 128)).astype(np.float32)
    return agent.act(obs, names, np.ones(len(names), bool))


def test_a_new_task_comes_with_its_instruction_masks_and_discount(checkpoint):
    agent = Agent.load(checkpoint)
    before = act(agent, [OLD])
    agent.add_tasks(catalog.select(f"{NEW},{OLD}"))
    assert [task.name for task in agent.tasks] == [OLD, NEW]
    np.testing.assert_array_equal(act(agent, [OLD]), before)
    # The same as an agent with the same weights that had both tasks from the start.
    other = make_agent([OLD, NEW])
    other.model.load_state_dict(agent.model.state_dict())
    np.testing.assert_array_equal(act(agent, [NEW, OLD]), act(other, [NEW, OLD]))
    for table in ("task_embeddings", "action_mask", "observation_mask"):
        fresh = getattr(make_agent([OLD, NEW]).model, table)
        assert torch.equal(getattr(agent.model, table), fresh), table
    assert agent.discount.tolist() == make_agent([OLD, NEW]).discount.tolist()


def test_a_grown_agent_is_saved_and_loaded(checkpoint, tmp_path):
    agent = Agent.load(checkpoint)
    agent.add_tasks(catalog.select(NEW))
    publish_folder(tmp_path / "grown", agent.save)
    loaded = Agent.load(tmp_path / "grown")
    np.testing.assert_array_equal(act(loaded, [NEW, OLD]), act(agent, [NEW, OLD]))


def test_a_run_starts_from_the_weights_on_a_new_task(checkpoint, make_trainer):
    config = dataclasses.replace(TINY, tasks=NEW, checkpoint=str(checkpoint), steps=260)
    trainer = make_trainer(config=config)
    start = Agent.load(checkpoint).model.encoder.weight_x
    assert torch.equal(trainer.agent.model.encoder.weight_x, start)
    trainer.run()
    assert not torch.equal(trainer.agent.model.encoder.weight_x, start)
    tuned = Agent.load(trainer.folder.path)
    assert [task.name for task in tuned.tasks] == [OLD, NEW]
    act(tuned, [OLD, NEW])


def test_the_command_line_takes_new_tasks_from_a_checkpoint(checkpoint):
    arguments = f"--tasks {NEW} --checkpoint {checkpoint} --demos none".split()
    assert parse_training(Newt, "newt-train", arguments)[1].size == "XS"


def test_an_agent_without_language_knows_its_own_tasks_only(tmp_path):
    agent = make_agent([OLD])
    agent.model.register_buffer("task_embeddings", torch.zeros(1, 0))
    with pytest.raises(RunError, match=f"not trained on {NEW}"):
        agent.add_tasks(catalog.select(NEW))
    with pytest.raises(RunError, match="reads no instructions"):
        agent.instruct([OLD], "Shoot.")


def test_another_instruction_changes_what_the_agent_does_in_these_tasks_only(checkpoint):
    agent, told = Agent.load(checkpoint), Agent.load(checkpoint)
    for one in (agent, told):
        one.add_tasks(catalog.select(NEW))
    told.instruct([NEW], catalog.get(OLD).instruction)
    names = [OLD, NEW]
    before, after = act(agent, names), act(told, names)
    np.testing.assert_array_equal(after[0], before[0])
    assert not np.array_equal(after[1], before[1])
    told.instruct([NEW], catalog.get(NEW).instruction)
    np.testing.assert_array_equal(act(told, names), before)


def test_held_out_tasks_are_evaluated_by_their_instructions(checkpoint, tmp_path, capsys):
    target = tmp_path / "result.json"
    flags = f"--checkpoint {checkpoint} --episodes 1 --no-plan --num-workers 0 --threads 1"
    task = "pygame-point-maze-var4"
    words = [*flags.split(), "--tasks", f"{task},{OLD}", "--json", str(target)]
    eval_main([*words, "--swap-instruction", catalog.get(OLD).instruction])
    assert f"not trained on {task}: it goes by their instructions" in capsys.readouterr().out
    result = json.loads(target.read_text())
    assert set(result["tasks"]) == {task, OLD}
    assert result["new_tasks"] == [task]
    assert result["instructions"] == dict.fromkeys((task, OLD), catalog.get(OLD).instruction)


def test_words_are_swapped_in_each_instruction(checkpoint, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(PlanningAgent, "instruct", lambda self, *what: told.append(what))
    monkeypatch.setattr("newt_agent.evaluate.evaluate", evaluate_nothing)
    maze, target = "pygame-point-maze-var4", tmp_path / "result.json"
    flags = f"--checkpoint {checkpoint} --tasks {OLD},{maze} --episodes 1 --no-plan --threads 1"
    words = ["--num-workers", "0", "--json", str(target), "--swap-words", "cowboy=cow, maze = hall"]
    eval_main([*flags.split(), *words])
    swapped = json.loads(target.read_text())["instructions"]
    assert told == [([name], text) for name, text in swapped.items()]
    for name, old, new in ((OLD, "cowboy", "cow"), (maze, "maze", "hall")):
        assert swapped[name] == catalog.get(name).instruction.replace(old, new)


def test_words_are_swapped_whole_and_at_once():
    instructions = {
        "a": "Push the can, lathe can, the canoe.",
        "b": "Push the can of soup, then the bin.",
    }
    pairs = "the can = the cube,the can of soup=the bin, the bin=the can"
    assert swap_words(instructions, pairs) == {
        "a": "Push the cube, lathe can, the canoe.",
        "b": "Push the bin, then the can.",
    }


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("the can", "'the can' is not OLD=NEW"),
        ("the can=", "'the can=' is not OLD=NEW"),
        ("can=cube,,", "'' is not OLD=NEW"),
        ("soup=bread", "nothing to swap in a, 'Push the can.'"),
        ("can=cube,pear=cube", "'pear' is in none"),
        ("Can=cube", "nothing to swap in a"),
    ],
)
def test_words_that_are_not_there_are_named(pairs, message):
    with pytest.raises(RunError, match=message):
        swap_words({"a": "Push the can.", "b": "Push the can of soup."}, pairs)
