"""The training loop: what it writes, and that an interrupted run is the same run."""

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from faults import Fault
from stopping import run_until
from tiny import TINY

from mmbench import catalog
from mmbench.runs import RunError, RunFolder
from newt_agent.agent import Agent
from newt_agent.episodes import replay_episodes
from newt_agent.train import Interrupted, Trainer

HANG = 300  # seconds after which a subprocess is taken to hang
RUN = dataclasses.replace(
    TINY, tasks="pygame-landing,mw-reach", steps=480, seed_steps=60, checkpoint_every=180
)
"""Tasks whose episodes are short: 250 and 100 steps."""
SHORT = dataclasses.replace(TINY, steps=160, seed_steps=40, utd=0.1, checkpoint_every=80)
"""For the tasks of tests/support/points.py, whose episodes have 20 steps."""


def episodes(folder):
    """Rows of metrics.csv without the one column that depends on the clock."""
    rows = RunFolder.open(folder).metrics.rows()
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def weights(folder):
    return (folder / "checkpoints" / "last" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of a run that was never stopped, made by the command line."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    result = subprocess.run(command(folder), capture_output=True, text=True, timeout=HANG)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def command(folder, *more):
    flags = {
        "--tasks": RUN.tasks,
        "--steps": RUN.steps,
        "--seed-steps": RUN.seed_steps,
        "--checkpoint-every": RUN.checkpoint_every,
        "--batch-size": RUN.batch_size,
        "--utd": RUN.utd,
        "--replay-capacity": RUN.replay_capacity,
        "--eval-episodes": RUN.eval_episodes,
        "--threads": 1,
        "--envs-per-task": 1,
        "--planner.num-samples": 8,
        "--planner.num-elites": 4,
        "--planner.num-pi-trajs": 2,
        "--planner.iterations": 1,
        "--out": folder,
    }
    pairs = [str(part) for flag in flags.items() for part in flag]
    start = [sys.executable, "-c", "from newt_agent.cli import train_main; train_main()"]
    # Evaluations by planning take most of a short run's time.
    return [*start, "--preset", "quickstart", "--no-plan-in-eval", *pairs, *more]


def resumption(folder):
    start = [sys.executable, "-c", "from newt_agent.cli import train_main; train_main()"]
    return [*start, "--resume", str(folder)]


def test_run_leaves_what_the_documentation_says(uninterrupted):
    folder, output = uninterrupted
    for name in ("config.json", "metrics.csv", "eval.json", "learning_curve.png", "tensorboard"):
        assert (folder / name).exists(), name
    config = json.loads((folder / "config.json").read_text())
    assert config["tasks"] == RUN.tasks.split(",")
    assert config["missing"] == []
    assert {"mujoco", "metaworld", "torch", "gymnasium"} <= set(config["versions"])
    evaluation = json.loads((folder / "eval.json").read_text())
    assert evaluation["step"] == RUN.steps
    assert set(evaluation["tasks"]) == set(RUN.tasks.split(","))
    assert evaluation["total"]["tasks"] == 2
    assert set(evaluation["domains"]) == {"metaworld", "miniarcade"}
    rows = episodes(folder)
    assert {row["phase"] for row in rows} == {"random", "before", "train", "after"}
    for row in rows:
        assert 0.0 <= float(row["score"]) <= 1.0
        assert int(row["length"]) == catalog.get(row["task"]).max_episode_steps
    for text in ("steps/s", "left", "random", "before", "after", "newt-eval", "learning_curve"):
        assert text in output


def test_learning_happens_after_the_random_phase(uninterrupted):
    folder, _ = uninterrupted
    checkpoints = sorted(p for p in (folder / "checkpoints").iterdir() if not p.is_symlink())
    first, last = Agent.load(checkpoints[0]), Agent.load(checkpoints[-1])
    changed = [
        name
        for (name, a), b in zip(
            first.model.named_parameters(), last.model.parameters(), strict=True
        )
        if not torch.equal(a, b)
    ]
    assert {name.split(".")[0] for name in changed} == {
        "encoder",
        "dynamics",
        "reward_net",
        "policy",
        "q_net",
        "target_q_net",
    }


def wait_for_checkpoint(process, folder, name):
    deadline = time.monotonic() + HANG
    while not list(folder.glob(f"checkpoints/{name}*/manifest.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def test_stopped_and_killed_and_resumed_equals_never_stopped(uninterrupted, tmp_path):
    folder = tmp_path / "stopped"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command(folder), **pipes)
    wait_for_checkpoint(process, folder, "0000001")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"newt-train --resume {folder}" in output.replace("\n", "")
    step = int(re.search(r"interrupted at step ([\d,]+)", output).group(1).replace(",", ""))
    assert (folder / "checkpoints" / f"{step:09d}").is_dir()

    process = subprocess.Popen(resumption(folder), stdout=subprocess.DEVNULL)
    # In the middle of episodes, with learned weights.
    wait_for_checkpoint(process, folder, "0000003")
    process.send_signal(signal.SIGKILL)
    process.wait(HANG)
    assert not (folder / "eval.json").exists()

    result = subprocess.run(resumption(folder), timeout=HANG, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stdout
    whole, _ = uninterrupted
    assert episodes(folder) == episodes(whole)
    assert weights(folder) == weights(whole)


def test_older_checkpoints_act_but_only_the_last_resumes(uninterrupted):
    folder, _ = uninterrupted
    checkpoints = sorted(p for p in (folder / "checkpoints").iterdir() if not p.is_symlink())
    assert len(checkpoints) == 4  # before the first step, two on the way, and the end
    for pattern in ("training.safetensors", "replay-*.safetensors"):
        assert [p for p in checkpoints if list(p.glob(pattern))] == checkpoints[-1:]
    assert (folder / "checkpoints" / "last").resolve() == checkpoints[-1]
    for checkpoint in checkpoints:
        agent = Agent.load(checkpoint)
        assert agent.act(np.zeros((1, 128)), [agent.tasks[0].name], [True]).shape == (1, 16)


def test_checkpoint_that_was_evaluated_best_has_a_name(make_trainer, points, monkeypatch, tmp_path):
    """Of equal ones the later; a score that is not a number is none."""
    scores = iter([0.1, 0.3, 0.3, math.nan, 0.2])
    evaluate = Trainer._evaluate

    def scripted(trainer, phase, agent):
        result = evaluate(trainer, phase, agent)
        if agent is not None:
            result["total"]["score"] = next(scores)
        return result

    monkeypatch.setattr(Trainer, "_evaluate", scripted)
    config = dataclasses.replace(SHORT, tasks=points, eval_every=40, checkpoint_every=10**6)
    trainer = make_trainer(config=config)
    trainer.run()
    trainer.close()
    assert trainer.best == {"step": 80, "score": 0.3}
    checkpoints = tmp_path / "run" / "checkpoints"
    assert (checkpoints / "best").resolve() == checkpoints / "000000080"
    assert Agent.load(checkpoints / "best").tasks
    assert (checkpoints / "last").resolve() == checkpoints / "000000160"

    (checkpoints / "best").unlink()  # as a kill does before the link is made
    resumed = make_trainer(config=dataclasses.replace(config, steps=200), resume=True)
    assert (checkpoints / "best").resolve() == checkpoints / "000000080"
    scores = iter([0.25, 0.4])
    resumed.run()
    assert (checkpoints / "best").resolve() == checkpoints / "000000200"


def test_failure_of_an_environment_names_the_task_and_the_way_on(make_trainer):
    trainer = make_trainer()
    trainer.env.set_attr("advance", [Fault("none"), Fault("nan", after=50)])
    expected = r"step 1\d\d task 'cartpole-swingup' \(environment 1\) returned the reward nan"
    with pytest.raises(RunError, match=rf"(?s){expected}.*--resume {trainer.folder.path}"):
        trainer.run()


def test_failed_environments_are_restarted_where_asked_for(make_trainer, points):
    config = dataclasses.replace(SHORT, tasks=points, on_error="restart")
    trainer = make_trainer(config=config)
    trainer.env.set_attr("advance", [Fault("none", length=20), Fault("raise", 30, length=20)])
    trainer.run()
    assert trainer.env.failures.tolist() == [0, 1]
    lengths = [row["length"] for row in trainer.folder.metrics.rows() if row["phase"] == "train"]
    assert set(lengths) == {"20"}  # the episode that was cut short is not among them


def test_failure_while_saving_keeps_the_checkpoint_before(make_trainer, monkeypatch):
    trainer = make_trainer()
    trainer._save()
    before = trainer.folder.last_checkpoint()
    monkeypatch.setattr(
        "newt_agent.checkpoint.write_json",
        lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    trainer._state.step += 2
    with pytest.raises(OSError, match="No space"):
        trainer._save()
    assert trainer.folder.last_checkpoint() == before
    assert [p.name for p in before.parent.iterdir() if not p.is_symlink()] == [before.name]
    Agent.load(before)


def test_a_replay_shorter_than_an_episode_can_be_resumed_from(make_trainer, points):
    config = dataclasses.replace(SHORT, tasks=points, replay_capacity=32)
    whole = make_trainer("whole", config)
    whole.run()
    assert whole.method.updates > 0
    stopped = make_trainer("stopped", config)
    run_until(stopped, 90)  # in the middle of an episode
    stopped.close()
    make_trainer("stopped", config, resume=True).run()
    assert weights(stopped.folder.path) == weights(whole.folder.path)


def test_discounts_are_limited_in_learning_and_planning(make_trainer):
    trainer = make_trainer(config=dataclasses.replace(TINY, discount_max=0.5))
    assert trainer.method.learner._discount.tolist() == [0.5] * len(trainer.tasks)
    assert trainer.agent.discount.tolist() == [0.5] * len(trainer.tasks)


def test_stop_request_is_honoured_between_steps(make_trainer):
    trainer = make_trainer()
    run_until(trainer, 300)
    assert trainer.folder.last_checkpoint().name == "000000300"


def test_stops_in_evaluations_come_at_once_and_lose_nothing(make_trainer, points):
    config = dataclasses.replace(SHORT, tasks=points, eval_every=80)
    whole = make_trainer("whole", config)
    whole.run()
    phases = ("random", "before", "eval", "after")
    for number, phase in enumerate(phases):
        trainer = make_trainer("stopped", config, resume=number > 0)
        evaluate, heed, steps = trainer._evaluate, trainer._heed_own_stop, []

        def heed_in_evaluation(trainer=trainer, heed=heed, steps=steps):
            steps.append(trainer.step)
            if len(steps) == 10:
                os.kill(os.getpid(), signal.SIGTERM)
            heed()

        def evaluate_and_stop(name, agent, trainer=trainer, evaluate=evaluate, last=phase):
            if name == last:
                trainer._heed_own_stop = heed_in_evaluation
            return evaluate(name, agent)

        trainer._evaluate = evaluate_and_stop
        with pytest.raises(Interrupted):
            trainer.run()
        assert len(steps) == 10
        trainer.close()
    trainer = make_trainer("stopped", config, resume=True)
    trainer.run()
    assert {row["phase"] for row in episodes(whole.folder.path)} == {*phases, "train"}
    assert episodes(trainer.folder.path) == episodes(whole.folder.path)
    assert weights(trainer.folder.path) == weights(whole.folder.path)


def test_environments_come_back_by_replaying(make_trainer):
    config = dataclasses.replace(TINY, tasks="pygame-pong,walker-walk,pygame-coinrun")
    trainer = make_trainer(config=config)
    env = trainer.env
    rng = np.random.default_rng(0)
    actions = [[] for _ in range(env.num_envs)]
    obs, _ = env.reset(seed=3)
    for tick in range(530):
        if tick == 510:  # one starts later than the others
            obs, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
            actions[1] = []
        batch = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        obs, _, _, truncated, _ = env.step(batch)
        for i, own in enumerate(actions):
            own.append(batch[i])
            if truncated[i]:
                own.clear()
    generators = env.episode_rng.copy()
    other = make_trainer("other", config).env
    again = replay_episodes(other, generators, [np.array(own) for own in actions])
    np.testing.assert_array_equal(again, obs)
    # And the future is the same too.
    for a, b in zip(env.step(batch)[:2], other.step(batch)[:2], strict=True):
        np.testing.assert_array_equal(a, b)
