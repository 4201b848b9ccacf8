"""The flags of `newt-train`: what is refused, what they mean, and what the helps say."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from command_lines import assert_one_message, call
from helps import broken_lines
from outside import registering, without_simulator
from short_runs import SMALL, contents

import newt_agent
from mmbench.language import EncoderUnavailableError
from mmbench.runs import RunError
from newt_agent.cli import parse_training, train_main
from newt_agent.cli_eval import eval_main
from newt_agent.cli_import import import_main
from newt_agent.methods import find_method
from newt_agent.newt import QUICKSTART, Newt, NewtConfig
from newt_agent.transfer import transfer_main

HANG = 300


def parse(arguments):
    return parse_training(Newt, "newt-train", arguments)


REFUSED = {
    "walker-walk": ("'walker-walk' stands without a flag: --tasks walker-walk?",),
    "--tasks walker-wlk": ("walker-wlk", "walker-walk"),
    "--preset quick": ("quick", "quickstart, machine, paper"),
    "--device tpu": ("--device", "tpu"),
    "--size M": ("--size", "M"),
    "--encoder bert": ("encoder='bert'", "minilm, clip"),
    "--checkpoint nowhere": ("nowhere",),
    "--checkpoint {run} --tasks pygame-cartpole-balance --size B": ("size=B", "has XS", "--size"),
    "--checkpoint {run} --tasks pygame-cartpole-balance --encoder clip": ("encoder=clip", "minilm"),
    f"{SMALL} --out {{run}}": ("--out {run}", "--resume {run}"),  # which exists
    "--device cuda": ("--device cuda", "--device cpu"),
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
    "--vision cnn": ("vision=cnn", "give --obs rgb"),
    "--planner.min-std 3": ("planner.min_std=3.0: more than planner.max_std=2.0",),
}


def test_bad_settings_are_one_message_and_leave_nothing(trained, tmp_path, monkeypatch):
    """In this process: PyTorch would end it by a segmentation fault at a million threads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = contents(trained)
    for flags, parts in REFUSED.items():
        command = flags.format(run=trained)
        if "--resume" not in command and "--out" not in command:
            command += f" --out {tmp_path / 'run'}"
        assert_one_message(call(train_main, command), *(part.format(run=trained) for part in parts))
    assert not list(tmp_path.iterdir())
    assert contents(trained) == before


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


@pytest.mark.skipif(find_spec("mani_skill") is None, reason="ManiSkill is not installed")
def test_missing_assets_are_one_message(tmp_path, monkeypatch):
    monkeypatch.setenv("MS_ASSET_DIR", str(tmp_path))
    flags = "--tasks ms-pick-apple,walker-walk --preset paper --replay-capacity 100000"
    result = call(train_main, f"{flags} --out {tmp_path / 'run'}")
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


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize(
    ("main", "flags"),
    [
        *((main, []) for main in (train_main, eval_main, transfer_main, import_main)),
        *((main, ["--resume=x"]) for main in (train_main, transfer_main)),
    ],
)
def test_helps_fit_the_terminal(main, flags, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main([*flags, "--help"])
    told = capsys.readouterr().out
    assert not broken_lines(told, columns)
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


@pytest.mark.parametrize(
    "main", ["newt_agent.cli import train_main", "newt_agent.cli_eval import eval_main"]
)
def test_a_reader_that_stops_early_is_no_error(main):
    code = f"from {main} as main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(HANG)
    assert b"Traceback" not in stderr and b"BrokenPipe" not in stderr
