"""`newt-eval`, and the videos of agents."""

import json
import math
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from command_lines import assert_one_message, call, own_threads
from PIL import Image
from tiny import TINY

from mmbench import catalog
from mmbench.cli import main as mmbench_main
from mmbench.evaluation import Episode
from mmbench.evaluation.video import NoVideoError
from mmbench.runs import RunFolder, publish_folder
from newt_agent.agent import Agent
from newt_agent.cli import train_main
from newt_agent.cli_eval import eval_main
from newt_agent.planning_agent import PlanningAgent


def test_eval_writes_the_form_of_a_run_and_a_video_of_each_task(trained, tmp_path):
    target, videos = tmp_path / "result.json", tmp_path / "new" / "videos"
    flags = f"--checkpoint {trained} --episodes 2 --no-plan --random --json {target}"
    result = call(eval_main, f"{flags} --video {videos} --video-format gif")
    assert result.returncode == 0, result.stderr
    written = json.loads(target.read_text())
    own = json.loads((trained / "eval.json").read_text())
    assert set(own) - {"step"} <= set(written)
    assert written["tasks"]["pygame-cartpole-balance"]["episodes"] == 2
    assert written["tasks"]["pygame-cartpole-balance"]["success"] is None  # undefined
    assert written["random"]["total"]["tasks"] == 1
    (path,) = videos.iterdir()
    assert path.name == "pygame-cartpole-balance.gif"
    with Image.open(path) as gif:
        assert gif.n_frames == 251  # of 501
    assert f"{path}: score 0." in result.stdout


@pytest.mark.parametrize("error", [NoVideoError, catalog.TaskUnavailableError])
def test_a_task_that_cannot_be_drawn_is_named_and_costs_no_result(
    trained, tmp_path, monkeypatch, error
):
    def record(task, *_):
        raise error(f"no video of {task.name}: no Vulkan device")

    monkeypatch.setattr("newt_agent.cli_eval.record_episode", record)
    flags = f"--checkpoint {trained} --episodes 1 --no-plan --num-workers 0 --video {tmp_path}"
    told = call(eval_main, flags).stdout
    assert "no video of pygame-cartpole-balance: no Vulkan device" in told
    assert "Mean scores" in told


def test_mmbench_video_shows_the_agent_of_a_run(tmp_path, capsys):
    tasks = catalog.select("pygame-landing")
    agent = PlanningAgent.create(
        tasks, "XS", "minilm", TINY.planner, torch.Generator().manual_seed(0)
    )
    with RunFolder.create(tmp_path / "run", "test") as folder:
        folder.publish_checkpoint(0, agent.save)
    path = tmp_path / "agent.gif"
    flags = f"video --task pygame-landing --policy {folder.path} --no-plan --out {path}"
    mmbench_main(flags.split())
    with Image.open(path) as gif:
        assert gif.n_frames == 101  # of 201
    assert f"{path}: one episode of pygame-landing, score 0." in capsys.readouterr().out


def test_mmbench_video_computes_as_newt_eval_does(trained, tmp_path, monkeypatch):
    """With the threads of the run, and without planning where that is asked for."""
    threads = []

    def record(task, policy, *_):
        policy(np.zeros(128, np.float32), True)
        threads.append(torch.get_num_threads())
        return Episode(task.name, 0.5, 0.0, 5.0, 1)

    monkeypatch.setattr("mmbench.commands.video.record_episode", record)
    flags = f"video --task pygame-cartpole-balance --policy {trained} --out {tmp_path}/a.gif"
    with own_threads():
        torch.set_num_threads(3)
        mmbench_main(flags.split())
        monkeypatch.setattr("newt_agent.planner.Planner.plan", None)
        mmbench_main([*flags.split(), "--no-plan"])
    assert threads == [1, 1]


REFUSED_EVALUATIONS = {
    "{run}": ("stands without a flag: --checkpoint",),
    "--checkpoint nowhere": ("nowhere",),
    "--checkpoint {run} --tasks nothing": ("nothing",),
    "--checkpoint {run} --episodes 0": ("episodes=0",),
    "--checkpoint {run} --swap-words pear=cube": ("nothing to swap in pygame-cartpole-balance",),
    "--checkpoint {run} --swap-instruction=": ("the other instruction is empty",),
    "--checkpoint {run} --swap-words a=b --swap-instruction c": ("--swap-words", "leave one out"),
    f"--checkpoint {{run}} --seed {2**64}": ("seed=",),
    "--checkpoint {run} --threads 1000000": ("threads=1000000",),
    "--checkpoint {run} --num-workers -1": ("num_workers=-1",),
    "--checkpoint {run} --json nowhere/x.json": ("nowhere/x.json",),
    "--checkpoint {run} --video {run}/config.json/a": ("config.json is not a folder", "--video"),
    "--checkpoint nowhere --video new": ("no checkpoint at nowhere",),
    "--checkpoint {short}": ("damaged", "model.safetensors"),
    "--checkpoint {nan}": ("nan", "model.safetensors", "target_q_net"),
}


def test_bad_evaluations_are_one_message(trained, tmp_path, monkeypatch):
    def with_nan(folder):
        agent = Agent.load(trained)
        agent.save(folder)
        weights = agent.model.state_dict()
        next(w for name, w in weights.items() if "target_q_net" in name).view(-1)[5] = math.nan
        safetensors.torch.save_file(weights, folder / "model.safetensors")

    monkeypatch.chdir(tmp_path)
    bad = {"nan": tmp_path / "nan", "short": tmp_path / "short"}
    publish_folder(bad["nan"], with_nan)
    shutil.copytree(trained, bad["short"], symlinks=True)
    weights = (bad["short"] / "checkpoints" / "last").resolve() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    for flags, parts in REFUSED_EVALUATIONS.items():
        result = call(eval_main, flags.format(run=trained, **bad))
        assert_one_message(result, *parts)
        assert "evaluating" not in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == set(bad)


def test_the_threads_of_the_run_are_used_again(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    evaluation = f"--checkpoint {folder} --episodes 1 --no-plan --num-workers 0"
    for main, flags, threads in (
        (eval_main, evaluation, 1),
        (eval_main, f"{evaluation} --threads 2", 2),
        (train_main, f"--resume {folder}", 1),
    ):
        with own_threads():
            torch.set_num_threads(3)
            main(flags.split())
            assert torch.get_num_threads() == threads
