"""Settings that fit together, the tasks, the machine and the checkpoint."""

import dataclasses

import pytest
from tiny import TINY

from mmbench import catalog
from mmbench.runs import RunError
from newt_agent import off_policy as module
from newt_agent.config import check_run
from newt_agent.newt import PAPER, QUICKSTART, Newt, fit_to_machine
from newt_agent.planner import PlannerConfig

TWO = catalog.select("pygame-pong,ms-pick-cube")  # episodes of 500 and 25 steps


def with_horizon(horizon: int) -> PlannerConfig:
    return dataclasses.replace(TINY.planner, horizon=horizon)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"planner": with_horizon(26)},
            "planner.horizon=26: an episode of ms-pick-cube has only 25 steps",
        ),
        (
            {"seed_steps": 1600},
            "seed_steps=1600: has to be less than steps=1600, or",
        ),
        ({"seed_steps": 5}, "seed_steps=5: at least 6"),
        ({"seed_steps": 0}, "seed_steps=0: at least 6"),
        ({"replay_capacity": 15}, "replay_capacity=15: at least 16"),
        ({"replay_capacity": 10}, "replay_capacity=10: at least 16"),
        ({"steps": 200, "seed_steps": 200}, "seed_steps=200: has to be less than steps=200"),
        ({"replay_capacity": 10**12}, r"replay_capacity=1000000000000: these rows take .* GiB"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(RunError, match=message):
        Newt.check(dataclasses.replace(TINY, **changes), TWO, "cpu")


def test_the_number_of_environments_has_a_limit():
    config = dataclasses.replace(TINY, envs_per_task=10_000)
    with pytest.raises(RunError, match=r"envs_per_task=10000: .* 20,000 environments, and 16,384"):
        check_run(config, TWO, Newt)


def test_what_just_fits_is_taken():
    least = dataclasses.replace(TINY, seed_steps=6, replay_capacity=16)
    Newt.check(least, TWO, "cpu")
    longest_plan = dataclasses.replace(TINY, planner=with_horizon(25))
    Newt.check(longest_plan, TWO, "cpu")
    short = catalog.select("ms-pick-cube")
    changes = {"planner": with_horizon(25), "replay_capacity": 52, "seed_steps": 25}
    Newt.check(dataclasses.replace(TINY, **changes), short, "cpu")
    with pytest.raises(RunError, match="at least 52"):
        Newt.check(dataclasses.replace(TINY, **{**changes, "replay_capacity": 51}), short, "cpu")


def test_presets_fit(monkeypatch):
    monkeypatch.setattr(module, "memory_bytes", lambda device: 8 * 2**30)

    def check(config, tasks, device):
        selected = catalog.select(tasks)
        Newt.check(Newt.complete(config, selected, device), selected, device)

    check(QUICKSTART, QUICKSTART.tasks, "cpu")
    check(Newt.preset("paper", "cpu", 200), "all", "cpu")
    for tasks in ("walker-walk", "dmcontrol", "all"):
        for device in ("cpu", "cuda"):
            check(fit_to_machine(device, len(catalog.select(tasks))), tasks, device)


@pytest.mark.parametrize(
    ("replay", "device", "gigabytes", "rows"),
    [
        ("auto", "cpu", 8, 2 * 2**30 // 584),  # a quarter of the machine's
        ("auto", "cuda", 16, 4 * 2**30 // 584),  # of the GPU's
        ("cpu", "cuda", 8, 2 * 2**30 // 584),
        ("auto", "cuda", 80, 10_000_000),
    ],
)
def test_the_replay_takes_a_quarter_of_the_memory_it_lives_in_at_most(
    monkeypatch, replay, device, gigabytes, rows
):
    sizes = {"cpu": 8, "cuda": gigabytes}
    monkeypatch.setattr(module, "memory_bytes", lambda device: sizes[device] * 2**30)
    config = dataclasses.replace(PAPER, replay_device=replay)
    assert Newt.complete(config, TWO, device).replay_capacity == rows
    own = dataclasses.replace(config, replay_capacity=5000)
    assert Newt.complete(own, TWO, device).replay_capacity == 5000


def test_the_replay_of_an_agent_on_the_cpu_is_not_on_a_gpu():
    config = dataclasses.replace(TINY, replay_device="cuda")
    with pytest.raises(RunError, match="replay_device=cuda: the agent computes on the cpu"):
        Newt.check(config, TWO, "cpu")


def test_the_first_phase_is_5_episodes_of_each_environment():
    def phase(**changes):
        config = dataclasses.replace(TINY, **{"seed_steps": 0, "steps": 10**6, **changes})
        return Newt.complete(config, TWO, "cpu").seed_steps

    assert phase() == 5 * (500 + 25)
    assert phase(envs_per_task=3) == 15 * (500 + 25)
    assert phase(steps=600) == 300  # there is time to learn
    assert phase(seed_steps=7) == 7
    # As published: as if each episode had 1,000 steps.
    for tasks in (1, 2, 200):
        assert Newt.preset("paper", "cpu", tasks).seed_steps == 5_000 * tasks
