"""Checkpoints that are damaged, edited or not finite; runs whose folder is shared or vanishes.

The command lines run in this process: what matters is that they end with one sentence.
"""

import json
import math
import os
import shutil
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

from mmbench.catalog import EnvironmentFailure
from mmbench.runs import RunError, RunFolder, publish_folder
from newt_agent.agent import Agent
from newt_agent.checkpoint import load_training_state, save_checkpoint
from newt_agent.cli import train_main
from newt_agent.cli_eval import eval_main
from newt_agent.replay import Replay
from newt_agent.saved_rows import load_rows
from newt_agent.tensors import entries, load_tensors, save_tensors
from newt_agent.train import Trainer

SMALL = "--tasks pygame-cartpole-balance --steps 600 --seed-steps 200 --eval-episodes 1 --no-plan "
SMALL += "--no-plan-in-eval --batch-size 8 --utd 0.02 --replay-capacity 5000 --threads 1 "
SMALL += "--num-workers 0 --checkpoint-every 400 --envs-per-task 1 --size XS --demos none"
FILES = ("model.safetensors", "agent.json", "training.safetensors", "replay-000002.safetensors")
FILES += ("progress.json", "manifest.json")
FOR_ACTING = ("model.safetensors", "agent.json", "manifest.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    train_main([*SMALL.split(), "--out", str(folder)])
    return folder


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy, to damage."""
    shutil.copytree(trained, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def last(run: Path) -> Path:
    return (run / "checkpoints" / "last").resolve()


def error(main, capsys, *arguments) -> str:
    """The one sentence with which a command ends."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == 2
    message = capsys.readouterr().err.strip()
    assert len(message.splitlines()) == 1, message
    return message


def resume(capsys, run: Path) -> str:
    return error(train_main, capsys, "--resume", run, "--steps", 900)


def evaluate(run: Path) -> None:
    eval_main(["--checkpoint", str(run), "--episodes", "1", "--no-plan", "--num-workers", "0"])


# NaN and infinity


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_tensors_that_are_not_finite_are_neither_written_nor_loaded(tmp_path, value, dtype):
    path = tmp_path / "a.safetensors"
    tensors = {"fine": torch.zeros(3), "empty": torch.zeros(0), "count": torch.arange(3)}
    save_tensors(path, tensors)
    content = path.read_bytes()
    broken = {**tensors, "broken": torch.tensor([1.0, value, -3.0]).to(dtype)}
    with pytest.raises(RunError, match=rf"a\.safetensors: the tensor 'broken' holds {value}"):
        save_tensors(path, broken)
    assert path.read_bytes() == content
    safetensors.torch.save_file(broken, path)
    with pytest.raises(RunError, match=rf"a\.safetensors: the tensor 'broken' holds {value}"):
        load_tensors(path)


def test_largest_numbers_are_finite(tmp_path):
    largest = torch.finfo(torch.float32).max
    tensors = {"large": torch.full((1000,), largest), "small": torch.full((1000,), -largest)}
    save_tensors(tmp_path / "a", tensors)
    assert torch.equal(load_tensors(tmp_path / "a")["large"], tensors["large"])


class Saved:
    """What a checkpoint holds, to be saved again."""

    def __init__(self, run: Path) -> None:
        self.agent = Agent.load(run)
        state = load_training_state(last(run))
        self.replay = Replay(5000, 1, 3, torch.zeros(1, dtype=torch.long))
        load_rows(self.replay, state.checkpoint, 0)
        self.replay.load_state_dict(entries(state.method, "replay"))
        self.tensors = load_tensors(last(run) / "training.safetensors")
        self.progress = state.progress

    def save(self, folder: RunFolder, step: int) -> None:
        save_checkpoint(folder, step, self, self.tensors, self.progress)


@pytest.mark.parametrize("where", ["model", "training", "replay-000004"])
@pytest.mark.parametrize("step", [600, 700])
def test_save_with_a_nan_keeps_the_checkpoint_before(run, where, step):
    folder = RunFolder.resume(run)
    saved = Saved(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    if where == "model":
        with torch.no_grad():
            next(saved.agent.model.policy.parameters()).view(-1)[0] = math.nan
    elif where == "training":
        name = next(n for n, tensor in saved.tensors.items() if tensor.is_floating_point())
        saved.tensors[name] = torch.full_like(saved.tensors[name], math.nan)
    else:
        saved.replay.add(torch.full((1, 128), math.nan), torch.zeros(1, 16), torch.zeros(1))
    with pytest.raises(RunError, match=rf"{where}\.safetensors: the tensor '.*' holds nan"):
        saved.save(folder, step)
    folder.close()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    load_training_state(last(run))


def test_checkpoint_with_a_nan_is_not_used(run, capsys):
    """As an earlier version could have written it: complete, with checksums."""
    edit(run, "model.safetensors", nan_in_first_tensor)
    for message in (resume(capsys, run), error(eval_main, capsys, "--checkpoint", run)):
        assert "model.safetensors: the tensor 'action_mask" not in message
        assert "holds nan" in message


def nan_in_first_tensor(content: bytes) -> bytes:
    tensors = safetensors.torch.load(content)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name] = torch.full_like(tensors[name], math.nan)
    return safetensors.torch.save(tensors)


# Damage


def edit(run: Path, name: str, change) -> None:
    """Changes a file of the last checkpoint and what the manifest says of it."""
    checkpoint = last(run)
    kept = {p.name: p.read_bytes() for p in checkpoint.iterdir() if p.name != "manifest.json"}
    kept[name] = change(kept[name])

    def fill(folder):
        for file, content in kept.items():
            (folder / file).write_bytes(content)

    publish_folder(checkpoint, fill)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "a folder"])
def test_damaged_checkpoint_is_one_sentence(run, capsys, name, damage):
    path = last(run) / name
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 0x80  # no UTF-8 either
        path.write_bytes(content)
    elif damage == "a folder":
        path.mkdir()
    message = resume(capsys, run)
    assert str(last(run)) in message and name in message
    if name in FOR_ACTING:
        assert name in error(eval_main, capsys, "--checkpoint", run)
    else:
        Agent.load(run)  # acting needs none of it


@pytest.mark.parametrize("name", ["agent.json", "progress.json"])
@pytest.mark.parametrize("value", ["[]", "3", "null", "{}", "\ud800", '{"step": "x", "model": []}'])
def test_json_of_a_wrong_kind_is_one_sentence(run, capsys, name, value):
    edit(run, name, lambda _: value.encode(errors="surrogatepass"))
    message = resume(capsys, run)
    assert str(last(run)) in message


@pytest.mark.parametrize("name", ["step", "updates", "results", "seconds", "config"])
@pytest.mark.parametrize("value", ["x", [], None])
def test_any_wrong_value_in_progress_is_one_sentence(run, capsys, name, value):
    edit(run, "progress.json", lambda old: with_value(old, name, value))
    assert f"progress.json is damaged: '{name}' is {value!r}" in resume(capsys, run)


def test_edited_settings_of_a_checkpoint_are_one_sentence(run, capsys):
    edit(run, "progress.json", lambda old: with_value(old, "config", {"planner": 5}))
    assert f"{last(run)} cannot be resumed from" in resume(capsys, run)


def with_value(content: bytes, name: str, value) -> bytes:
    return json.dumps({**json.loads(content), name: value}).encode()


@pytest.mark.parametrize("part", ["model", "encoder", "planner", "tasks"])
@pytest.mark.parametrize("value", ["x", [], {}, None, [[]], {"name": "bert", "dim": 384}])
def test_any_wrong_value_in_agent_json_is_one_sentence(run, capsys, part, value):
    if (part, value) == ("planner", {}):
        pytest.skip("the defaults")
    edit(run, "agent.json", lambda old: with_value(old, part, value))
    assert str(last(run)) in error(eval_main, capsys, "--checkpoint", run)


def header(text: str, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text.encode()


TENSOR = '{"w": {"dtype": "%s", "shape": [%d], "data_offsets": [0, 4]}}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x8c\x02os\x94.",  # a pickle
        header("{}", 1 << 62),
        header("[]"),
        header("{}"),
        header(TENSOR % ("F32", 1_000_000_000_000)) + bytes(4),
        header(TENSOR % ("F32", -1)) + bytes(4),
        header(TENSOR % ("F99", 1)) + bytes(4),
        header(TENSOR % ("F4", 8)) + bytes(4),
        header(TENSOR % ("F8_E4M3", 4)) + bytes(4),
        header(TENSOR % ("F32", 1)) + bytes(4),
    ],
)
def test_malicious_tensors_are_one_sentence(run, capsys, content):
    for name in ("training.safetensors", "model.safetensors"):
        edit(run, name, lambda _: content)
        assert str(last(run)) in resume(capsys, run)
    assert str(last(run)) in error(eval_main, capsys, "--checkpoint", run)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff\xfe", b'{"config": 5}', b'{"config": {"steps": []}}', b"{}"]
)
def test_damaged_config_is_one_sentence(run, capsys, content):
    (run / "config.json").write_bytes(content)
    assert "config.json" in resume(capsys, run)
    evaluate(run)  # acting needs none of it


@pytest.mark.parametrize("device", ["tpu", 5, None, []])
def test_edited_device_is_one_sentence(run, capsys, device):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "device": device}))
    assert f"device={device!r}: one of auto, cpu, cuda" in resume(capsys, run)


def test_damaged_metrics_are_told_of_and_the_run_goes_on(run, capsys):
    path = run / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    train_main(["--resume", str(run), "--steps", "900"])
    output = " ".join(capsys.readouterr().out.split())
    assert "metrics.csv is damaged" in output and "whole rows are left" in output
    assert b"\0" not in path.read_bytes()


# One folder, one process


def test_second_process_gets_one_sentence_and_evaluations_go_on(run, capsys):
    holder = RunFolder.resume(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert f"is in use by process {os.getpid()}" in resume(capsys, run)
    assert "exists already" in error(train_main, capsys, *SMALL.split(), "--out", run)
    evaluate(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    holder.close()


def test_checkpoint_that_is_replaced_while_it_is_read(run, monkeypatch):
    """A run saves a step again, or drops the replay, while `newt-eval` reads."""
    saved = Saved(run)
    folder = RunFolder.resume(run)
    saves = iter([600, 900])

    def load_and_save(path):
        for step in saves:  # the first two times
            saved.save(folder, step)
            break
        return load_tensors(path)

    monkeypatch.setattr("newt_agent.agent.load_tensors", load_and_save)
    assert torch.equal(Agent.load(run).discount, saved.agent.discount)
    folder.close()


def test_folder_is_free_after_a_run_however_it_ended(run, capsys, monkeypatch):
    def fail(trainer):
        raise ArithmeticError("of no known kind")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", fail)
        with pytest.raises(ArithmeticError):
            train_main(["--resume", str(run), "--steps", "900"])
    RunFolder.resume(run).close()


def test_failure_after_a_kill_between_two_names(run, capsys, monkeypatch):
    """The same step was being saved again: `last` leads to a copy with a name of its own."""
    checkpoints = run / "checkpoints"
    (checkpoints / "000000600").rename(checkpoints / ".000000600-a1b2c3d4")
    (checkpoints / "last").unlink()
    (checkpoints / "last").symlink_to(".000000600-a1b2c3d4")

    def fail(trainer):
        raise EnvironmentFailure(trainer.env.tasks[0], 0, "failed")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", fail)
        with pytest.raises(SystemExit):
            train_main(["--resume", str(run), "--steps", "900"])
    assert "The checkpoint of step 600 is intact" in capsys.readouterr().err
    train_main(["--resume", str(run), "--steps", "900"])
    names = sorted(path.name for path in checkpoints.iterdir())
    assert names == ["000000000", "000000400", "000000800", "000000900", "best", "last"]


def test_stopped_before_the_first_checkpoint(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"

    def die(*_):
        raise MemoryError  # of whatever kind

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_evaluate", die)
        with pytest.raises(MemoryError):
            train_main(
                [*SMALL.split(), "--preset", "lite", "--demos", "none", "--out", str(folder)]
            )
    began = json.loads((folder / "config.json").read_text())
    assert began["preset"] == began["protocol"]["name"] == "lite"
    message = error(eval_main, capsys, "--checkpoint", folder)
    assert str(folder) in message and "checkpoint" in message
    train_main(["--resume", str(folder)])
    assert "starts again from the beginning" in " ".join(capsys.readouterr().out.split())
    assert RunFolder.open(folder).last_checkpoint().name == "000000600"
    ended = json.loads((folder / "config.json").read_text())
    assert {**ended, "commit": began["commit"]} == began


@pytest.mark.parametrize("what", ["the folder", "its checkpoints", "the metrics"])
def test_folder_that_vanishes_during_the_run(tmp_path, capsys, monkeypatch, what):
    folder = tmp_path / "run"
    collect = Trainer._take_step

    def collect_and_remove(trainer):
        collect(trainer)
        if trainer.step == 300:
            if what == "the folder":
                shutil.rmtree(folder)
            elif what == "its checkpoints":
                shutil.rmtree(folder / "checkpoints")
            else:
                (folder / "metrics.csv").unlink()

    monkeypatch.setattr(Trainer, "_take_step", collect_and_remove)
    monkeypatch.setattr("newt_agent.off_policy.LOG_EVERY_UPDATES", 1)
    arguments = [*SMALL.split(), "--out", str(folder)]
    if what == "the folder":
        message = error(train_main, capsys, *arguments)
        assert f"{folder} was removed, renamed or replaced" in message
        assert not folder.exists()
    elif what == "its checkpoints":
        train_main(arguments)
        load_training_state(RunFolder.open(folder).last_checkpoint())
    else:
        with pytest.warns(RuntimeWarning, match=r"metrics\.csv is gone; a new one begins"):
            train_main(arguments)


@pytest.mark.parametrize("place", ["/proc/foo", "/dev/null/run", "/dev/full"])
def test_places_where_no_folder_can_be(capsys, place):
    message = error(train_main, capsys, *SMALL.split(), "--out", place)
    assert f"--out '{place}': no folder can be made there" in message


@pytest.mark.parametrize(
    "place", ["/proc/x.json", "/dev/null", "{run}", "{run}/config.json/x", "{run}/nowhere/x.json"]
)
def test_places_where_no_result_can_be_are_found_first(trained, capsys, monkeypatch, place):
    monkeypatch.setattr(Agent, "load", None)  # nothing is evaluated
    place = place.format(run=trained)
    assert place in error(eval_main, capsys, "--checkpoint", trained, "--json", place)
    assert Path("/dev/null").is_char_device()


def test_older_checkpoints_that_are_damaged_end_no_run(run):
    older = run / "checkpoints" / "000000400"
    (older / "replay-000001.safetensors").write_bytes(b"left by an earlier version")
    (older / "manifest.json").write_text("[")
    train_main(["--resume", str(run), "--steps", "900"])
    assert last(run).name == "000000900"
