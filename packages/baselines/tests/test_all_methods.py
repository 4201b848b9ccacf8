"""What every method promises, whatever it learns: the same tests for all."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from demonstrations import make_demonstrations
from helps import broken_lines
from no_evaluation import evaluate_nothing
from rich.console import Console
from waiting import WaitsForNothing

from mmbench import catalog
from mmbench.runs import RunError, RunFolder
from mmbench_baselines.cli import eval_main, train_main
from newt_agent.agent import Agent
from newt_agent.cli import parse_training
from newt_agent.display import Display
from newt_agent.methods import find_method, method_names
from newt_agent.model_based import ModelBased
from newt_agent.system import resolve_device
from newt_agent.train import Interrupted, Trainer

HANG = 300
TASKS = "pygame-landing,mujoco-reacher"
"""Two domains, whose tasks have other sizes and discounts, and short episodes."""
SHARED = {
    "tasks": TASKS,
    "steps": 480,
    "size": "XS",
    "envs_per_task": 2,
    "num_workers": 0,
    "eval_every": 240,
    "eval_episodes": 1,
    "checkpoint_every": 160,
    "threads": 1,
}
REPLAY = {"batch_size": 16, "seed_steps": 100, "replay_capacity": 2000}
WITHOUT_PLANS = {"plan": False, "plan_in_eval": False}
OWN = {
    "bc": {"batch_size": 16},
    "brc": {**REPLAY, "updates_per_step": 0.5},
    "fast_td3": {**REPLAY, "updates_per_step": 0.5},
    "newt": {**REPLAY, **WITHOUT_PLANS, "utd": 0.05, "pretrain_updates": 12},
    "ppo": {"rollout": 20, "minibatches": 2, "epochs": 2},
    "tdmpc2": {**REPLAY, **WITHOUT_PLANS, "utd": 0.05},
}
"""Settings with which a method learns something within that many steps."""

METHODS = sorted(OWN)
ONLINE = [method for method in METHODS if not find_method(method).offline]


def settings(method, **changes):
    """Settings of a short run.

    Where it is counted in updates, one of them stands for a step of all four environments.
    """
    chosen = {**SHARED, **OWN[method], **changes}
    if find_method(method).offline:
        del chosen["envs_per_task"]
        for name in ("steps", "eval_every", "checkpoint_every"):
            chosen[name] //= 4
        chosen["updates"] = chosen.pop("steps")
    return chosen


def flags(chosen):
    """Settings as a command line gives them."""
    words = []
    for name, value in chosen.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return words


@pytest.fixture(autouse=True)
def demonstrations(monkeypatch):
    """What methods learn from that have demonstrations; played by nobody."""
    for module in ("mmbench_baselines.bc", "newt_agent.newt"):
        monkeypatch.setattr(
            f"{module}.load_demonstrations", lambda names, where, most: make_demonstrations(names)
        )


@pytest.fixture
def make(tmp_path):
    """Makes trainers by method and folder, and closes them."""
    made = []

    def make(method, name, resume=False, **changes):
        kind = find_method(method)
        config = kind.config_class(**settings(method, **changes))
        path = tmp_path / name
        folder = RunFolder.resume(path) if resume else RunFolder.create(path, "test")
        display = Display(Console(file=io.StringIO(), width=120))
        made.append(Trainer(kind, config, folder, "cpu", display, resume))
        return made[-1]

    threads = torch.get_num_threads()
    yield make
    torch.set_num_threads(threads)
    for trainer in made:
        trainer.close()


def weights(run):
    return (run / "checkpoints" / "last" / "model.safetensors").read_bytes()


def test_each_installed_method_is_tested_here():
    assert set(method_names()) <= {*METHODS, "hill"}  # of the documentation


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_and_resumed_run_is_the_one_that_never_stopped(make, method, monkeypatch):
    monkeypatch.setattr("newt_agent.train.evaluate", evaluate_nothing)  # it takes long
    whole = make(method, "whole")
    start = {n: t.clone() for n, t in whole.agent.model.state_dict().items()}
    whole.run()
    assert whole.method.updates > 0
    after = whole.agent.model.state_dict()
    assert any(not torch.equal(tensor, start[name]) for name, tensor in after.items())
    stopped = make(method, "stopped")
    learn = stopped.method.learn

    def stop_soon(step):
        if step == whole.step * 252 // 480:  # in the middle of an episode
            os.kill(os.getpid(), signal.SIGTERM)
        return learn(step)

    stopped.method.learn = stop_soon
    with pytest.raises(Interrupted):
        stopped.run()
    stopped.close()
    resumed = make(method, "stopped", resume=True)
    assert resumed.step == stopped.step < whole.step
    resumed.run()
    assert resumed.method.updates == whole.method.updates
    assert weights(resumed.folder.path) == weights(whole.folder.path)


@pytest.mark.parametrize("method", ["brc", "tdmpc2"])
def test_a_longer_run_has_the_random_steps_of_the_shorter_one(make, method, monkeypatch):
    monkeypatch.setattr("newt_agent.train.evaluate", evaluate_nothing)
    short = make(method, "run", seed_steps=0, steps=80)
    assert short.config.seed_steps == 40  # half of the run
    short._save()
    short.close()
    stored = RunFolder.open(short.folder.path).read_config()["config"]
    kind = find_method(method)
    longer = dataclasses.replace(kind.config_class.from_dict(stored), steps=400)
    assert kind.complete(longer, short.tasks, "cpu").seed_steps == 40


@pytest.mark.parametrize("method", METHODS)
def test_an_evaluation_changes_nothing_of_the_training(make, method, points):
    runs = [
        make(method, str(every), tasks=points, steps=320, eval_every=every) for every in (0, 160)
    ]
    for run in runs:
        run.run()
    assert weights(runs[0].folder.path) == weights(runs[1].folder.path)


@pytest.mark.parametrize("method", ONLINE)
def test_what_masked_entries_hold_changes_nothing(make, method):
    clean, dirty = make(method, "clean"), make(method, "dirty")
    step, masks = dirty.env.step, dirty.env.observation_mask

    def spoiled(actions):
        assert not actions[dirty.env.action_mask == 0].any()
        obs, reward, terminated, truncated, infos = step(actions)
        obs = np.where(masks > 0, obs, 1e6).astype(np.float32)
        for i in np.flatnonzero(infos.get("_final_obs", [])):
            infos["final_obs"][i][masks[i] == 0] = -1e6
        return obs, reward, terminated, truncated, infos

    dirty.env.step = spoiled
    for trainer in (clean, dirty):
        for _ in range(60):
            trainer._take_step()
            trainer.method.learn(trainer.step)
    assert clean.method.updates == dirty.method.updates > 0
    pair = (trainer.agent.model.state_dict().values() for trainer in (clean, dirty))
    assert all(torch.equal(a, b) for a, b in zip(*pair, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_updates_fit_a_gpu(make, method):
    trainer = make(method, "run")
    while not trainer.method.updates:
        if not trainer.method.offline:
            trainer._take_step()
        with WaitsForNothing():
            trainer.method.learn(trainer.step)
    # The fused optimizers of a GPU take only gradients that lie in memory as their parameters do.
    for name, parameter in trainer.agent.model.named_parameters():
        assert parameter.grad is None or parameter.grad.stride() == parameter.stride(), name


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_acts_by_itself(make, method):
    trainer = make(method, "run")
    trainer._save()
    agent = Agent.load(trainer.folder.path)
    assert agent.method == method and type(agent) is find_method(method).agent_class
    generator = torch.Generator().manual_seed(0)
    names = ["mujoco-reacher", "pygame-landing", "mujoco-reacher"]
    obs = np.zeros((3, 128), np.float32)
    action = agent.act(obs, names, np.ones(3, bool), generator=generator)
    assert action.shape == (3, 16) and np.abs(action).max() <= 1
    mask = agent.model.action_mask[agent.index(names)].numpy()
    assert not action[~mask].any()


@pytest.mark.parametrize("encoder", ["index", "none"])
@pytest.mark.parametrize("method", METHODS)
def test_tasks_can_be_told_apart_without_language(method, encoder):
    kind = find_method(method)
    config = dataclasses.replace(kind.config_class(**settings(method)), encoder=encoder)
    generator = torch.Generator().manual_seed(0)
    agent = kind.create_agent(config, config.selected(), torch.device("cpu"))
    names = TASKS.split(",")
    action = agent.act(np.zeros((2, 128)), names, np.ones(2, bool), generator=generator)
    assert np.isfinite(action).all() and agent.language_dim == 0
    with pytest.raises(RunError, match="was not trained on walker-walk"):
        agent.add_tasks(catalog.select("walker-walk"))


# The command lines


def error(capsys, main, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in arguments])
    assert ended.value.code not in (0, None)
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told


@pytest.mark.parametrize("method", METHODS)
def test_a_run_of_the_command_line_leaves_an_eval_json_of_the_same_form(method, tmp_path, capsys):
    chosen = settings(method, steps=240, eval_every=0, checkpoint_every=1000)
    train_main([method, *flags(chosen), "--out", str(tmp_path / "run")])
    assert f"baselines-train {method}" in capsys.readouterr().out or method == "newt"
    result = json.loads((tmp_path / "run" / "eval.json").read_text())
    assert set(result["tasks"]) == set(TASKS.split(","))
    row = result["tasks"]["mujoco-reacher"]
    assert {"score", "success", "return", "length", "episodes"} <= set(row)
    assert result["step"] == chosen.get("steps", chosen.get("updates"))


def test_a_checkpoint_is_evaluated_in_the_same_form(make, tmp_path):
    trainer = make("ppo", "run", steps=240, eval_every=0)
    trainer.run()
    run, target = trainer.folder.path, tmp_path / "again.json"
    eval_main(["--checkpoint", str(run), "--episodes", "1", "--json", str(target)])
    result = json.loads((run / "eval.json").read_text())
    assert set(result) - {"step"} <= set(json.loads(target.read_text()))


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("method", METHODS)
def test_help_shows_the_settings_and_fits_the_terminal(method, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit) as ended:
        train_main([method, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert not broken_lines(told, columns)
    told = " ".join(told.split())
    hidden = {"steps", "envs_per_task"} if find_method(method).offline else set()
    hidden |= set() if issubclass(find_method(method), ModelBased) else {"obs"}  # they see states
    for field in dataclasses.fields(find_method(method).config_class):
        if field.name in hidden:
            continue
        name = {"imports": "import"}.get(field.name, field.name)
        assert f"--{name.replace('_', '-')}" in told or f"--{name}." in told, name


@pytest.mark.parametrize(
    ("method", "own", "other"), [("bc", "updates", "steps"), ("ppo", "steps", "updates")]
)
def test_a_run_goes_on_to_a_length_in_what_it_is_counted_in(method, own, other, make, capsys):
    trainer = make(method, "run", steps=320 if own == "updates" else 80, eval_every=0)
    trainer.run()
    trainer.close()
    path = str(trainer.folder.path)
    for start in (("--resume", path), (method, "--tasks", TASKS)):
        told = error(capsys, train_main, *start, f"--{other}", "120")
        assert f"--{other}: a run of {method} is counted in {own}; give --{own}" in told
    train_main(["--resume", path, f"--{own}", "120"])
    assert f"120 {own} in" in capsys.readouterr().out
    told = error(capsys, train_main, "--resume", path, f"--{own}", "40")
    assert f"{own}=40: the run is at {own[:-1]} 120 already" in told


@pytest.mark.parametrize("method", METHODS)
def test_presets_are_for_the_tasks_that_are_given(method):
    kind = find_method(method)
    for preset in kind.presets:
        words = ["--preset", preset, "--tasks", "walker-walk,cheetah-run,pygame-pong"]
        name, config = parse_training(kind, "test", words)
        assert name == preset
        assert dataclasses.replace(config, tasks="all") == dataclasses.replace(
            kind.preset(preset, resolve_device("auto"), 3), tasks="all"
        )


def test_a_method_comes_first_and_is_known(capsys):
    assert "a method comes first" in error(capsys, train_main, "--tasks", "walker-walk")
    told = error(capsys, train_main, "sarsa", "--tasks", "walker-walk")
    assert "unknown method 'sarsa'" in told and "newt" in told
    told = error(capsys, train_main, METHODS[0], "--tasks", "walker-wlk")
    assert "unknown task 'walker-wlk'" in told


def test_a_checkpoint_of_another_method_is_one_sentence(make, capsys, tmp_path):
    trainer = make("newt", "run")
    trainer._save()
    path, new = trainer.folder.path, tmp_path / "new"
    for method in set(METHODS) - {"newt"}:
        words = ("--tasks", TASKS, "--checkpoint", path, "--out", new)
        told = error(capsys, train_main, method, *words)
        assert f"was trained by the method 'newt', not '{method}'" in told
        assert f"newt-train --checkpoint {path}" in told
        assert not new.exists()


@pytest.mark.parametrize(
    ("method", "changes", "other"),
    [
        ("brc", {"embedding": "learned"}, {"embedding": "language"}),
        ("fast_td3", {"num_atoms": 11, "normalise": False}, {"num_atoms": 7}),
    ],
)
def test_a_run_from_a_checkpoint_has_its_networks(make, capsys, tmp_path, method, changes, other):
    trainer = make(method, "run", **changes)
    trainer._save()
    words = ["--tasks", TASKS, "--checkpoint", str(trainer.folder.path)]
    _, config = parse_training(find_method(method), "test", words)
    assert config.size == "XS"
    assert {name: getattr(config, name) for name in changes} == changes
    told = error(capsys, train_main, method, *words, *flags(other), "--out", tmp_path / "new")
    ((name, value),) = other.items()
    assert f"{name}={value}: " in told and f"has {changes[name]}; leave" in told


def test_a_method_that_is_not_installed_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr("newt_agent.methods.entry_points", lambda group: ())
    with pytest.raises(RunError, match=r"unknown method 'ppo'.*install mmbench-baselines"):
        find_method("ppo")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_goes_on_as_if_nothing_had_been(method, tmp_path):
    chosen = settings(method, steps=3000, num_workers=1, checkpoint_every=400)
    start = [sys.executable, "-c", "from mmbench_baselines.cli import train_main; train_main()"]

    def command(*words):
        return [*start, *map(str, words)]

    run = tmp_path / "killed"
    process = subprocess.Popen(command(method, *flags(chosen), "--out", run))
    deadline = time.monotonic() + HANG
    while not (run / "checkpoints" / "000000800").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    subprocess.run(command("--resume", run), check=True, timeout=HANG)
    whole = tmp_path / "whole"
    subprocess.run(command(method, *flags(chosen), "--out", whole), check=True, timeout=HANG)
    assert weights(run) == weights(whole)
