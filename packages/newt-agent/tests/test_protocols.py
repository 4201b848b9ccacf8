"""The preset `lite` of every method, and how a run's folder says what it left of the protocol."""

import dataclasses

import pytest

from mmbench.catalog import select
from mmbench.evaluation.protocol import LITE
from newt_agent import protocols
from newt_agent.cli import parse_training
from newt_agent.config import flag
from newt_agent.methods import find_method, method_names

METHODS = [name for name in method_names() if name in LITE.settings]


def parsed(method, *words):
    """The settings of a command line, complete, and the label of the run."""
    kind = find_method(method)
    preset, config = parse_training(kind, "train", list(words))
    tasks = config.selected()
    config = kind.complete(config, tasks, "cpu")
    kind.check(config, tasks, "cpu")
    return config, protocols.label(kind, config, tasks, "cpu", preset)


def label(row, *changed):
    return {"name": "lite", "version": LITE.version, "row": row, "changed": list(changed)}


@pytest.mark.parametrize("method", METHODS)
def test_the_preset_is_the_whole_protocol(method):
    config, told = parsed(method, "--preset", "lite", "--seed", "2")
    assert told == label(method)
    assert config.selected() == select("lite")
    assert (config.threads, config.num_workers, config.device) == (1, 0, "cpu")


@pytest.mark.parametrize("row", [n for n, e in LITE.entrants.items() if e.method in METHODS])
def test_the_flags_of_each_row_are_a_row(row):
    entrant = LITE.entrants[row]
    words = [word for name, value in entrant.flags.items() for word in (flag(name), str(value))]
    _, told = parsed(entrant.method, "--preset", "lite", *words)
    assert told == label(row)


@pytest.mark.parametrize(
    "words, changed",
    [
        (["--steps", "60000"], ["steps"]),
        (["--tasks", "lite,walker-walk"], ["tasks"]),
        (["--optimizer.lr", "1e-4"], ["optimizer"]),
        (["--planner.iterations", "3", "--threads", "2"], ["threads", "planner"]),
    ],
)
def test_a_flag_that_changes_the_protocol_is_told(words, changed):
    _, told = parsed("newt", "--preset", "lite", *words)
    assert told == label("newt", *changed)


def test_flags_that_change_no_number_are_free():
    words = ("--checkpoint-every", "5000", "--on-error", "restart", "--skip-missing")
    assert parsed("newt", "--preset", "lite", *words)[1] == label("newt")


def test_the_tasks_alone_are_not_the_protocol():
    _, told = parsed("newt", "--tasks", "lite")
    assert told["name"] == "lite" and {"size", "steps"} <= set(told["changed"])


def test_other_runs_say_nothing():
    assert parsed("newt", "--tasks", "walker-walk")[1] is None


def test_another_device_is_another_protocol():
    kind = find_method("newt")
    config = protocols.preset(kind, "lite", "cpu", 20)
    config = kind.complete(dataclasses.replace(config, device="cuda"), select("lite"), "cuda")
    assert protocols.label(kind, config, select("lite"), "cuda")["changed"] == ["device"]
