"""The command lines as a user meets them: in a process of their own."""

import contextlib
import io
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from helps import broken_lines
from outside import registering, without_simulator
from PIL import Image
from tiny import TINY

import newt_agent
from mmbench import catalog
from mmbench.cli import main as mmbench_main
from mmbench.evaluation import Episode
from mmbench.evaluation.video import NoVideoError
from mmbench.language import EncoderUnavailableError
from mmbench.runs import RunError, RunFolder, publish_folder
from mmbench.runs.lock import LOCK
from newt_agent.agent import Agent
from newt_agent.cli import parse_training, train_main
from newt_agent.cli_eval import eval_main
from newt_agent.cli_import import import_main
from newt_agent.methods import find_method
from newt_agent.newt import QUICKSTART, Newt, NewtConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.transfer import transfer_main

HANG = 300
TRAIN = "from newt_agent.cli import train_main; train_main()"
EVAL = "from newt_agent.cli_eval import eval_main; eval_main()"
SMALL = "--tasks pygame-cartpole-balance --steps 600 --seed-steps 200 --eval-episodes 1 --no-plan "
SMALL += "--no-plan-in-eval --batch-size 8 --utd 0.02 --replay-capacity 5000 --threads 1 "
SMALL += "--num-workers 0 --demos none"


def parse(arguments):
    return parse_training(Newt, "newt-train", arguments)


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


MANY = """
import contextlib, io, json, sys
from newt_agent.cli import train_main
from newt_agent.cli_eval import eval_main
from newt_agent.cli_import import import_main
main = {"train": train_main, "eval": eval_main}[sys.argv[1]]
for line in sys.stdin:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(line.split())
        except SystemExit as end:
            code = end.code
    print(json.dumps([line, code, out.getvalue(), err.getvalue()]), flush=True)
"""


def run_many(program: str, commands: list[str], **options) -> list[subprocess.CompletedProcess]:
    """Runs commands one after the other in one process: it takes seconds to import PyTorch."""
    process = subprocess.run(
        [sys.executable, "-c", MANY, program],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        timeout=HANG,
        **options,
    )
    results = [
        subprocess.CompletedProcess(*json.loads(line)) for line in process.stdout.splitlines()
    ]
    assert len(results) == len(commands), process.stderr
    return results


def tree(folder: Path) -> dict[str, bytes]:
    """The files of a run; the lock says who had it last, also of a process that was refused."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != LOCK)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_existing_run_is_not_touched(trained):
    before = tree(trained)
    assert_one_message(run(TRAIN, f"{SMALL} --out {trained}"), "--out", "--resume", str(trained))
    assert tree(trained) == before


REFUSED = {
    "walker-walk": ("'walker-walk' stands without a flag: --tasks walker-walk?",),
    "--tasks walker-wlk": ("walker-wlk", "walker-walk"),
    "--preset quick": ("quick", "quickstart, machine, paper"),
    "--device tpu": ("--device", "tpu"),
    "--size M": ("--size", "M"),
    "--encoder bert": ("encoder='bert'", "minilm, clip"),
    "--checkpoint nowhere": ("nowhere",),
    "--checkpoint {run} --tasks pygame-cartpole-balance --size B": ("size=B", "has S", "--size"),
    "--checkpoint {run} --tasks pygame-cartpole-balance --encoder clip": ("encoder=clip", "minilm"),
    "--resume nowhere": ("nowhere",),
    "--resume {run} --steps 0": ("steps=0",),
    "--resume {run} --steps 300": ("steps=300", "at step 600 already"),
    "--resume {run} --threads 1000000": ("threads=1000000",),
    "--resume {run} --seed 3": ("--seed",),
    # Numbers without sense
    "--steps 0": ("steps=0: it only pretrains", "demos=none"),
    "--steps -5": ("steps=-5",),
    "--steps 1e3": ("--steps", "1e3"),
    "--checkpoint-every 0": ("checkpoint_every=0",),
    "--eval-every -1": ("eval_every=-1",),
    "--eval-episodes 0": ("eval_episodes=0",),
    "--batch-size -1": ("batch_size=-1",),
    "--num-workers -1": ("num_workers=-1",),
    "--threads 0": ("threads=0",),
    "--threads 1000000": ("threads=1000000", "at most 1,024"),
    "--seed -1": ("seed=-1",),
    f"--seed {2**64}": (f"seed={2**64}", "at most 4,294,967,295"),
    "--envs-per-task 1000000000": ("envs_per_task=1000000000",),
    "--utd nan": ("utd=nan: a number, at least 0",),
    "--utd inf": ("utd=inf",),
    "--utd -0.1": ("utd=-0.1",),
    "--discount-max 1.5": ("discount_max=1.5", "at most 1"),
    "--optimizer.lr inf": ("optimizer.lr=inf",),
    "--optimizer.lr 1e400": ("optimizer.lr=inf",),
    "--optimizer.policy-eps 0": ("optimizer.policy_eps=0.0: a number, above 0",),
    "--loss.rho nan": ("loss.rho=nan",),
    "--planner.temperature -inf": ("planner.temperature=-inf",),
    "--planner.iterations 0": ("planner.iterations=0",),
    # What does not fit together, or the tasks, or the machine
    "--seed-steps 47": ("seed_steps=47: at least 48",),
    "--seed-steps 60000": ("seed_steps=60000", "steps=60000", "nothing is learned"),
    "--replay-capacity 10": ("replay_capacity=10: at least 128",),
    "--replay-capacity 127": ("replay_capacity=127: at least 128",),
    "--replay-capacity 999999999999": ("replay_capacity=999999999999", "GiB"),
    "--planner.horizon 101": ("planner.horizon=101",),
    "--tasks ms-pick-cube --planner.horizon 26": ("planner.horizon=26", "ms-pick-cube", "25"),
    "--envs-per-task 5000": ("envs_per_task=5000", "20,000", "16,384"),
    "--planner.num-samples 8": ("planner.num_pi_trajs=16", "planner.num_samples=8"),
    "--planner.num-elites 100": ("planner.num_elites=100: more than planner.num_samples=48",),
    "--planner.min-std 3": ("planner.min_std=3.0: more than planner.max_std=2.0",),
}


def test_bad_settings_are_one_message_and_leave_nothing(trained, tmp_path):
    before = tree(trained)
    commands = [flags.format(run=trained) for flags in REFUSED]
    commands = [c if "--resume" in c else f"{c} --out {tmp_path / 'run'}" for c in commands]
    results = run_many("train", commands, cwd=tmp_path)
    for result, parts in zip(results, REFUSED.values(), strict=True):
        assert_one_message(result, *parts)
    assert not list(tmp_path.iterdir())
    assert tree(trained) == before


def test_an_encoder_that_is_missing_is_found_before_anything_is_built(
    tmp_path, monkeypatch, capsys
):
    def compute(*_):
        raise EncoderUnavailableError("no weights of clip")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mmbench.language.compute", compute)
    monkeypatch.setattr("newt_agent.cli.RunFolder", None)  # comes before the environments
    with pytest.raises(SystemExit) as end:
        train_main(["--encoder", "clip"])
    assert end.value.code == 2
    assert "no weights of clip" in capsys.readouterr().err


def test_more_threads_than_can_be_started_are_one_message(tmp_path):
    """PyTorch would end the process with a segmentation fault."""
    result = run(TRAIN, "--threads 1000000", cwd=tmp_path)
    assert_one_message(result, "threads=1000000")
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(find_spec("mani_skill") is None, reason="ManiSkill is not installed")
def test_missing_assets_are_one_message(tmp_path):
    flags = "--tasks ms-pick-apple,walker-walk --preset paper --replay-capacity 100000"
    no_assets = {**os.environ, "MS_ASSET_DIR": str(tmp_path)}
    result = run(TRAIN, f"{flags} --out {tmp_path / 'run'}", cwd=tmp_path, env=no_assets)
    assert_one_message(result, "ms-pick-apple", "mmbench assets download", "--skip-missing")
    assert not (tmp_path / "run").exists()


def test_missing_tasks_need_no_replay_and_are_named(tmp_path, monkeypatch, capsys):
    without_simulator("dmcontrol", monkeypatch)
    flags = "--tasks walker-walk,pygame-landing --steps 60 --seed-steps 50 --replay-capacity 8 "
    flags += f"--no-plan --no-plan-in-eval --num-workers 0 --eval-episodes 1 --out {tmp_path}/run "
    flags += "--size XS --batch-size 4 --threads 1 --utd 0.1 --demos none"
    with pytest.raises(SystemExit):
        train_main(flags.split())
    train_main([*flags.split(), "--skip-missing"])
    for name in ("config.json", "eval.json"):
        assert json.loads((tmp_path / "run" / name).read_text())["missing"] == ["walker-walk"]
    assert "mean of 1 of 2 tasks" in capsys.readouterr().out
    words = f"--checkpoint {tmp_path}/run --tasks walker-walk,pygame-landing --skip-missing"
    eval_main([*words.split(), *"--episodes 2 --no-plan --num-workers 0 --threads 1".split()])
    told = " ".join(capsys.readouterr().out.split())
    assert "left out, as they cannot run here: walker-walk" in told
    assert "mean of 1 of 2 tasks" in told


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


def test_resume_goes_on_to_a_new_length_and_remembers_it(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    under_uv = {**os.environ, "UV_RUN_RECURSION_DEPTH": "1"}
    commands = [f"--resume {folder} --steps 800", f"--resume {folder}"]
    longer, plain = run_many("train", commands, env=under_uv)
    assert longer.returncode == 0, longer.stderr
    closing = dict(line.split(maxsplit=1) for line in longer.stdout.splitlines()[-5:])
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
    assert checkpoints == {"000000000", "000000600", "000000800", "last"}


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
    results = run_many("train", [f"--resume {tmp_path / name}" for name in edits])
    for result, (_, message) in zip(results, edits.values(), strict=True):
        assert_one_message(result, message, "config.json")


def test_a_checkpoint_brings_its_size(trained, tmp_path):
    """The quickstart's own size is XS."""
    out = tmp_path / "run"
    flags = f"--preset quickstart {SMALL} --checkpoint {trained} --out {out} --discount-max 0.9"
    result = run(TRAIN, flags)
    assert result.returncode == 0, result.stderr
    parameters = Agent.load(trained).model.num_parameters
    assert f"size S with {parameters:,} parameters" in result.stdout
    assert json.loads((out / "config.json").read_text())["config"]["size"] == "S"


# Two evaluations take 500 steps each, and then there are 300 of training.
BROKEN = """
from mmbench.env import TaskEnv
from newt_agent.cli import train_main

def advance(self, action, healthy=TaskEnv.advance, steps=[0]):
    reward, *rest = healthy(self, action)
    steps[0] += 1
    return (1e300 if steps[0] == 1300 else reward, *rest)

TaskEnv.advance = advance
train_main()
"""


def test_a_bad_reward_names_task_step_and_number_and_the_run_is_resumable(tmp_path):
    folder = tmp_path / "run"
    result = run(BROKEN, f"{SMALL} --checkpoint-every 250 --out {folder}")
    parts = ("at step 299", "'pygame-cartpole-balance'", "reward 1e+300", "step 250")
    assert_one_message(result, *parts, f"--resume {folder}")
    resumed = run(TRAIN, f"--resume {folder}")
    assert resumed.returncode == 0, resumed.stderr


def test_a_diverging_run_keeps_the_last_good_checkpoint(tmp_path):
    folder = tmp_path / "run"
    flags = f"{SMALL} --utd 0.2 --checkpoint-every 100 --optimizer.lr 1e12 --out {folder}"
    # It goes on exactly, and so to the same end.
    for result in run_many("train", [flags, f"--resume {folder}"]):
        assert_one_message(result, "(update ", "The checkpoint of step 200", f"--resume {folder}")
        assert "environment" not in result.stderr
        last = (folder / "checkpoints" / "last").resolve()
        assert last.name == "000000200"
        assert list(last.glob("replay-*.safetensors"))
    evaluated = run(EVAL, f"--checkpoint {folder} --episodes 1 --no-plan")
    assert evaluated.returncode == 0, evaluated.stderr


def test_eval_writes_the_form_of_a_run_and_a_video_of_each_task(trained, tmp_path):
    target, videos = tmp_path / "result.json", tmp_path / "new" / "videos"
    flags = f"--checkpoint {trained} --episodes 2 --no-plan --random --json {target}"
    result = run(EVAL, f"{flags} --video {videos} --video-format gif")
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
    with contextlib.redirect_stdout(io.StringIO()) as output:
        eval_main(flags.split())
    assert "no video of pygame-cartpole-balance: no Vulkan device" in output.getvalue()
    assert "Mean scores" in output.getvalue()


def test_mmbench_video_shows_the_agent_of_a_run(tmp_path, capsys):
    tasks = catalog.select("pygame-landing")
    agent = PlanningAgent.create(
        tasks, "XS", "minilm", TINY.planner, torch.Generator().manual_seed(0)
    )
    with RunFolder.create(tmp_path / "run", "test") as folder:
        folder.publish_checkpoint(0, agent.save)
    path = tmp_path / "agent.gif"
    mmbench_main(
        ["video", "--task", "pygame-landing", "--policy", str(folder.path), "--out", str(path)]
    )
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
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        mmbench_main(flags.split())
        monkeypatch.setattr("newt_agent.planner.Planner.plan", None)
        mmbench_main([*flags.split(), "--no-plan"])
    finally:
        torch.set_num_threads(before)
    assert threads == [1, 1]


@pytest.mark.parametrize(
    ("name", "main"),
    [
        ("newt-train", train_main),
        ("newt-eval", eval_main),
        ("newt-transfer", transfer_main),
        ("newt-import", import_main),
    ],
)
def test_the_version_is_told(name, main, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{name} {newt_agent.__version__}\n"


@pytest.mark.parametrize(
    ("main", "flags"),
    [
        *((main, []) for main in (train_main, eval_main, transfer_main, import_main)),
        *((main, ["--resume=x"]) for main in (train_main, transfer_main)),
    ],
)
def test_helps_fit_the_terminal(main, flags, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([*flags, "--help"])
    told = capsys.readouterr().out
    assert not broken_lines(told, 100)
    assert "{None}" not in told  # as tyro calls what may be left out


def test_the_help_of_a_new_run_tells_how_to_go_on_with_one(capsys):
    with pytest.raises(SystemExit):
        train_main(["--help"])
    assert "--resume DIR" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "seed_steps"),
    [
        ("", 8000),
        ("--steps 9000", 8000),
        ("--steps 6000", 3000),
        ("--tasks walker-walk --steps 3000", 1500),
        ("--steps 6000 --seed-steps 7000", 7000),  # which is refused
        ("--steps 6000 --seed_steps=7000", 7000),
    ],
)
def test_a_short_run_has_time_to_learn(flags, seed_steps):
    config = parse_training(Newt, "newt-train", flags.split())[1]
    assert Newt.complete(config, config.selected(), "cpu").seed_steps == seed_steps


REFUSED_EVALUATIONS = {
    "{run}": ("stands without a flag: --checkpoint",),
    "--checkpoint nowhere": ("nowhere",),
    "--checkpoint {run} --tasks nothing": ("nothing",),
    "--checkpoint {run} --episodes 0": ("episodes=0",),
    f"--checkpoint {{run}} --seed {2**64}": ("seed=",),
    "--checkpoint {run} --threads 1000000": ("threads=1000000",),
    "--checkpoint {run} --num-workers -1": ("num_workers=-1",),
    "--checkpoint {run} --json nowhere/x.json": ("nowhere/x.json",),
    "--checkpoint {run} --video {run}/config.json/a": ("config.json is not a folder", "--video"),
    "--checkpoint nowhere --video new": ("no checkpoint at nowhere",),
    "--checkpoint {nan}": ("nan", "model.safetensors", "target_q_net"),
}


def test_bad_evaluations_are_one_message(trained, tmp_path):
    def with_nan(folder):
        agent = Agent.load(trained)
        agent.save(folder)
        weights = agent.model.state_dict()
        next(w for name, w in weights.items() if "target_q_net" in name).view(-1)[5] = math.nan
        safetensors.torch.save_file(weights, folder / "model.safetensors")

    publish_folder(tmp_path / "nan", with_nan)
    commands = [flags.format(run=trained, nan=tmp_path / "nan") for flags in REFUSED_EVALUATIONS]
    results = run_many("eval", commands, cwd=tmp_path)
    for result, parts in zip(results, REFUSED_EVALUATIONS.values(), strict=True):
        assert_one_message(result, *parts)
        assert "evaluating" not in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["nan"]


def test_the_threads_of_the_run_are_used_again(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    evaluation = f"--checkpoint {folder} --episodes 1 --no-plan --num-workers 0".split()
    commands = ("eval", evaluation), ("eval", [*evaluation, "--threads", "2"])
    commands = (*commands, ("train", ["--resume", str(folder)]))
    code = f"""
import torch
from newt_agent.cli import train_main
from newt_agent.cli_eval import eval_main
for name, arguments in {commands}:
    torch.set_num_threads(3)
    {{"eval": eval_main, "train": train_main}}[name](arguments)
    print("threads:", torch.get_num_threads())
"""
    result = run(code, "")
    assert result.returncode == 0, result.stderr
    assert re.findall(r"threads: (\d)", result.stdout) == ["1", "2", "1"]


def test_unreadable_checkpoint_is_one_message(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder, symlinks=True)
    weights = (folder / "checkpoints" / "last").resolve() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert_one_message(run(EVAL, f"--checkpoint {folder}"), "damaged", "model.safetensors")


def test_presets():
    assert parse([]) == ("quickstart", QUICKSTART)
    assert parse(["--preset", "paper"]) == ("paper", Newt.preset("paper", "cpu", 200))
    # The last one counts, in the name and in the settings.
    assert parse(["--preset", "paper", "--preset=quickstart"]) == ("quickstart", QUICKSTART)
    preset, config = parse_training(
        Newt, "newt-train", ["--tasks", "walker-walk", "--device", "cpu"]
    )
    assert preset == "machine"
    assert (config.tasks, config.size) == ("walker-walk", "S")
    assert Newt.complete(config, config.selected(), "cpu").replay_capacity <= 10_000_000
    _, config = parse_training(
        Newt, "newt-train", ["--preset=quickstart", "--planner.iterations", "2", "--seed", "3"]
    )
    assert config.planner.iterations == 2
    assert config.seed == 3
    assert config.batch_size == QUICKSTART.batch_size
    with pytest.raises(RunError, match="envs_per_task=0"):
        parse(["--envs-per-task", "0"])


def test_paths_are_those_of_the_folder_where_the_command_was_typed(tmp_path, monkeypatch):
    (tmp_path / "moves.py").write_text("import os; os.chdir('/')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with registering():  # else later tests' workers would import it too
        _, config = parse(["--import", "moves", "--out", "runs/one"])
    assert config.out == f"{tmp_path}/runs/one"
    assert os.getcwd() == "/"
    _, config = parse(["--out", "/runs/one"])
    assert config.out == "/runs/one"


def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(RunError, match="working directory does not exist"):
        parse([])


def test_sources_that_are_not_installed_are_told_of(monkeypatch):
    """A copy on the path has no entry points."""
    monkeypatch.setattr("newt_agent.methods.entry_points", lambda group: ())
    with pytest.raises(RunError, match=r"no method is installed.*install newt-agent$"):
        find_method("newt")


def test_settings_survive_config_json():
    assert NewtConfig.from_dict(json.loads(json.dumps(QUICKSTART.to_dict()))) == QUICKSTART


@pytest.mark.parametrize("code", [TRAIN, EVAL])
def test_a_reader_that_stops_early_is_no_error(code):
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(HANG)
    assert b"Traceback" not in stderr and b"BrokenPipe" not in stderr
