"""The command lines as a user meets them: in a process of their own."""

import json
import os
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmbench.runs import RunError
from newt_agent.cli import parse_training
from newt_agent.config import PAPER, QUICKSTART, Config

HANG = 300
TRAIN = "from newt_agent.cli import train_main; train_main()"
EVAL = "from newt_agent.cli import eval_main; eval_main()"
SMALL = "--tasks pygame-cartpole-balance --steps 600 --seed-steps 200 --eval-episodes 1 --no-plan "
SMALL += "--no-plan-in-eval --batch-size 8 --utd 0.02 --replay-capacity 5000 --threads 1"


def run(code: str, arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments.split()],
        capture_output=True,
        text=True,
        timeout=HANG,
        **options,
    )


def assert_one_message(result: subprocess.CompletedProcess, *parts: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr, result.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    result = run(TRAIN, f"{SMALL} --out {folder}")
    assert result.returncode == 0, result.stderr
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_existing_run_is_not_touched(trained):
    before = tree(trained)
    assert_one_message(run(TRAIN, f"{SMALL} --out {trained}"), "--out", "--resume", str(trained))
    assert tree(trained) == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("--tasks walker-wlk", ("walker-wlk", "walker-walk")),
        pytest.param(
            "--tasks ms-pick-apple,walker-walk --preset paper",
            ("ms-pick-apple", "mmbench assets download", "--skip-missing"),
            marks=pytest.mark.skipif(
                find_spec("mani_skill") is None, reason="ManiSkill is not installed"
            ),
        ),
        ("--preset quick", ("quick", "quickstart, machine, paper")),
        ("--device tpu", ("--device", "tpu")),
        ("--steps 0", ("steps=0",)),
        ("--discount-max 1.5", ("discount_max=1.5", "at most 1")),
        ("--encoder bert", ("bert", "minilm")),
        ("--checkpoint nowhere", ("nowhere",)),
        ("--resume nowhere", ("nowhere",)),
    ],
)
def test_bad_arguments_are_one_message(arguments, parts, tmp_path):
    out = "" if "--resume" in arguments else f" --out {tmp_path / 'run'}"
    no_assets = {**os.environ, "MS_ASSET_DIR": str(tmp_path)}
    assert_one_message(run(TRAIN, arguments + out, cwd=tmp_path, env=no_assets), *parts)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(
    os.environ.get("CUDA_VISIBLE_DEVICES") is None and Path("/dev/nvidia0").exists(),
    reason="this machine has a GPU",
)
def test_missing_gpu_is_one_message(tmp_path):
    result = run(TRAIN, f"--device cuda --out {tmp_path / 'run'}")
    assert_one_message(result, "--device cuda", "--device cpu")


def test_full_disk_loses_nothing(tmp_path):
    """A limit on the size of files makes the first checkpoint fail as a full disk would."""
    folder = tmp_path / "run"
    limit = (1_000_000, 1_000_000)
    result = run(
        TRAIN,
        f"{SMALL} --out {folder}",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert_one_message(result, str(folder), "--resume")
    checkpoints = folder / "checkpoints"
    assert not checkpoints.exists() or not list(checkpoints.iterdir())  # nothing half-written


def test_full_disk_in_a_resumed_run_keeps_its_checkpoint(trained, tmp_path):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    before = tree(folder / "checkpoints")
    limit = (1_000_000, 1_000_000)
    result = run(
        TRAIN,
        f"--resume {folder} --steps 900",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert_one_message(result, "--resume")
    assert tree(folder / "checkpoints") == before
    assert run(TRAIN, f"--resume {folder} --steps 900").returncode == 0


def test_resume_goes_on_to_a_new_length(trained, tmp_path):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    result = run(TRAIN, f"--resume {folder} --steps 800")
    assert result.returncode == 0, result.stderr
    assert json.loads((folder / "eval.json").read_text())["step"] == 800


def test_eval_writes_the_form_of_a_run(trained, tmp_path):
    target = tmp_path / "result.json"
    result = run(EVAL, f"--checkpoint {trained} --episodes 2 --no-plan --random --json {target}")
    assert result.returncode == 0, result.stderr
    written = json.loads(target.read_text())
    own = json.loads((trained / "eval.json").read_text())
    assert set(own) - {"step"} <= set(written)
    assert written["tasks"]["pygame-cartpole-balance"]["episodes"] == 2
    assert written["tasks"]["pygame-cartpole-balance"]["success"] is None  # undefined
    assert written["random"]["total"]["tasks"] == 1
    assert "pygame-cartpole-balance" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("--checkpoint nowhere", ("nowhere",)),
        ("--checkpoint {run} --tasks walker-walk", ("walker-walk", "not trained on")),
        ("--checkpoint {run} --tasks nothing", ("nothing",)),
        ("--checkpoint {run} --episodes 0", ("--episodes 0",)),
        ("--checkpoint {run} --json nowhere/x.json", ("nowhere/x.json",)),
    ],
)
def test_bad_evaluations_are_one_message(trained, arguments, parts):
    assert_one_message(run(EVAL, arguments.format(run=trained)), *parts)


def test_unreadable_checkpoint_is_one_message(trained, tmp_path):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    weights = (folder / "checkpoints" / "last").resolve() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert_one_message(run(EVAL, f"--checkpoint {folder}"), "damaged", "model.safetensors")


def test_presets():
    assert parse_training([]) == ("quickstart", QUICKSTART)
    assert parse_training(["--preset", "paper"]) == ("paper", PAPER)
    preset, config = parse_training(["--tasks", "walker-walk", "--device", "cpu"])
    assert preset == "machine"
    assert (config.tasks, config.size) == ("walker-walk", "S")
    assert config.replay_capacity <= PAPER.replay_capacity
    _, config = parse_training(["--preset=quickstart", "--planner.iterations", "2", "--seed", "3"])
    assert config.planner.iterations == 2
    assert config.seed == 3
    assert config.batch_size == QUICKSTART.batch_size
    with pytest.raises(RunError, match="envs_per_task=0"):
        parse_training(["--envs-per-task", "0"])


def test_settings_survive_config_json():
    assert Config.from_dict(json.loads(json.dumps(QUICKSTART.to_dict()))) == QUICKSTART


@pytest.mark.parametrize("code", [TRAIN, EVAL])
def test_a_reader_that_stops_early_is_no_error(code):
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(HANG)
    assert b"Traceback" not in stderr and b"BrokenPipe" not in stderr
