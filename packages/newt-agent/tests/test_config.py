"""Settings that fit together, the tasks, the machine and the checkpoint."""

import dataclasses

import pytest
from tiny import TINY

from mmbench import catalog
from mmbench.runs import RunError
from newt_agent import config as module
from newt_agent.config import PAPER, QUICKSTART, check_run, fit_to_machine
from newt_agent.planner import PlannerConfig

TWO = catalog.select("pygame-pong,ms-pick-cube")  # episodes of 500 and 25 steps


def with_horizon(horizon: int) -> PlannerConfig:
    return dataclasses.replace(TINY.planner, horizon=horizon)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"envs_per_task": 10_000}, r"envs_per_task=10000: .* 20,000 environments, and 16,384"),
        (
            {"planner": with_horizon(26)},
            "planner.horizon=26: an episode of ms-pick-cube has only 25 steps",
        ),
        ({"seed_steps": 1600}, "seed_steps=1600: less than steps=1600, or nothing is learned"),
        ({"seed_steps": 5}, "seed_steps=5: at least 6"),
        ({"seed_steps": 0}, "seed_steps=0: at least 6"),
        # 501 rows hold an episode of pong.
        ({"replay_capacity": 1001}, r"replay_capacity=1001: at least 1002, .*pygame-pong has 500"),
        ({"replay_capacity": 10}, "replay_capacity=10: at least 1002"),
        ({"replay_capacity": 10**12}, r"replay_capacity=1000000000000: these rows take .* GiB"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(RunError, match=message):
        check_run(dataclasses.replace(TINY, **changes), TWO, "cpu")


def test_what_just_fits_is_taken():
    least = dataclasses.replace(TINY, seed_steps=6, replay_capacity=1002)
    check_run(least, TWO, "cpu")
    longest_plan = dataclasses.replace(TINY, planner=with_horizon(25))
    check_run(longest_plan, TWO, "cpu")
    # Where episodes are short it is the two windows that count, as the replay says too.
    short = catalog.select("ms-pick-cube")
    changes = {"planner": with_horizon(25), "replay_capacity": 52, "seed_steps": 25}
    check_run(dataclasses.replace(TINY, **changes), short, "cpu")
    with pytest.raises(RunError, match="at least 52"):
        check_run(dataclasses.replace(TINY, **{**changes, "replay_capacity": 51}), short, "cpu")


def test_presets_fit(monkeypatch):
    monkeypatch.setattr(module, "_memory_bytes", lambda device: 8 * 2**30)
    check_run(QUICKSTART, catalog.select(QUICKSTART.tasks), "cpu")
    check_run(PAPER, catalog.select("all"), "cpu")
    for tasks in ("walker-walk", "dmcontrol", "all"):
        selected = catalog.select(tasks)
        for device in ("cpu", "cuda"):
            check_run(fit_to_machine(device, len(selected)), selected, device)
