"""`newt-train` from its start to its end: full disks, bad numbers, and going on."""

import contextlib
import json
import resource
import shutil

from command_lines import assert_one_message, call
from short_runs import SMALL, contents

from mmbench.env import TaskEnv
from newt_agent.agent import Agent
from newt_agent.cli import train_main
from newt_agent.cli_eval import eval_main


@contextlib.contextmanager
def small_disk():
    """Files may have half a megabyte: the first checkpoint fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_loses_nothing(tmp_path):
    folder = tmp_path / "run"
    with small_disk():
        result = call(train_main, f"{SMALL} --out {folder}")
    assert_one_message(result, str(folder), "--resume")
    checkpoints = folder / "checkpoints"
    assert not checkpoints.exists() or not list(checkpoints.iterdir())  # nothing half-written


def test_full_disk_in_a_resumed_run_keeps_its_checkpoint(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    before = contents(folder / "checkpoints")
    with small_disk():
        result = call(train_main, f"--resume {folder} --steps 900")
    assert_one_message(result, "--resume")
    assert contents(folder / "checkpoints") == before
    assert call(train_main, f"--resume {folder} --steps 900").returncode == 0


def test_resume_goes_on_to_a_new_length_and_remembers_it(trained, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    longer = call(train_main, f"--resume {folder} --steps 800")
    plain = call(train_main, f"--resume {folder}")
    assert longer.returncode == 0, longer.stderr
    closing = dict(line.split(maxsplit=1) for line in longer.stdout.splitlines()[-6:])
    closing.pop("best", None)  # where training made the score worse, as it can this early
    closing.pop("800", None)  # else the line before: 800 steps in ...
    assert closing == {
        "curves": f"{folder}/learning_curve.png",
        "folder": str(folder),
        "watch": f"uv run mmbench video --task pygame-cartpole-balance --policy {folder}",
        "evaluate": f"uv run newt-eval --checkpoint {folder} --episodes 20 --random",
        "next": "uv run newt-train --tasks walker-walk",
    }
    assert json.loads((folder / "eval.json").read_text())["step"] == 800
    # Had the new length been forgotten, this would be a run that is longer than it may be.
    assert plain.returncode == 0, plain.stderr
    assert "800 steps" in plain.stdout
    assert json.loads((folder / "config.json").read_text())["config"]["steps"] == 800
    checkpoints = {path.name for path in (folder / "checkpoints").iterdir()}
    assert checkpoints == {"000000000", "000000600", "000000800", "last", "best"}


def test_edited_settings_are_one_message(trained, tmp_path):
    edits = {
        "steps": ("many", "steps='many': an integer"),
        "threads": (10**6, "threads=1000000"),
        "envs_per_task": (2, "envs_per_task=2: the checkpoint was made with 1"),
        "planner": ({"horizon": 9}, "planner.horizon=9: the checkpoint was made with 3"),
        "colour": ("red", "colour"),
    }
    for name, (value, _) in edits.items():
        shutil.copytree(trained, tmp_path / name, symlinks=True)
        path = tmp_path / name / "config.json"
        stored = json.loads(path.read_text())
        stored["config"][name] = value
        path.write_text(json.dumps(stored))
    for name, (_, message) in edits.items():
        result = call(train_main, f"--resume {tmp_path / name}")
        assert_one_message(result, message, "config.json")


def test_a_checkpoint_brings_its_size(trained, tmp_path):
    """A run on a CPU has size S by itself."""
    out = tmp_path / "run"
    flags = f"{SMALL} --checkpoint {trained} --out {out} --discount-max 0.9"
    result = call(train_main, flags.replace("--size XS ", "--device cpu "))
    assert result.returncode == 0, result.stderr
    parameters = Agent.load(trained).model.num_parameters
    assert f"size XS with {parameters:,} parameters" in result.stdout
    assert json.loads((out / "config.json").read_text())["config"]["size"] == "XS"


def test_a_bad_reward_names_task_step_and_number_and_the_run_is_resumable(tmp_path, monkeypatch):
    folder, advance, steps = tmp_path / "run", TaskEnv.advance, []

    def spoiled(self, action):
        reward, *rest = advance(self, action)
        steps.append(reward)
        # Two evaluations take 500 steps each, and then there are 300 of training.
        return (1e300 if len(steps) == 1300 else reward, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(TaskEnv, "advance", spoiled)
        result = call(train_main, f"{SMALL} --checkpoint-every 250 --out {folder}")
    parts = ("at step 299", "'pygame-cartpole-balance'", "reward 1e+300", "step 250")
    assert_one_message(result, *parts, f"--resume {folder}")
    resumed = call(train_main, f"--resume {folder}")
    assert resumed.returncode == 0, resumed.stderr


def test_a_diverging_run_keeps_the_last_good_checkpoint(tmp_path):
    folder = tmp_path / "run"
    flags = f"{SMALL} --utd 0.2 --checkpoint-every 100 --optimizer.lr 1e12 --out {folder}"
    # It goes on exactly, and so to the same end.
    for command in (flags, f"--resume {folder}"):
        result = call(train_main, command)
        assert_one_message(result, "(update ", "The checkpoint of step 200", f"--resume {folder}")
        assert "environment" not in result.stderr
        last = (folder / "checkpoints" / "last").resolve()
        assert last.name == "000000200"
        assert list(last.glob("replay-*.safetensors"))
    evaluated = call(eval_main, f"--checkpoint {folder} --episodes 1 --no-plan")
    assert evaluated.returncode == 0, evaluated.stderr
