"""What a person sees of a run, and what showing it costs."""

import io
import math
import re
import sys

import pytest
from rich.console import Console

from mmbench.evaluation import Episode
from newt_agent.display import Display, RecentScores, RunProgress

TASKS = ("walker-walk", "pygame-pong", "cheetah-run")


def progress_after(episodes: int) -> RunProgress:
    """Late in a run of so many episodes."""
    recent = RecentScores()
    for i in range(episodes):
        recent.add(Episode(TASKS[i % 2], i / 1000, math.nan, 1.0, 500))
    return RunProgress(
        step=500 * episodes,
        steps=10**9,
        unit="steps",
        stride=2,
        updates=7,
        phase=None,
        random={name: {"score": 0.25} for name in TASKS},
        recent=recent,
        time={"learning": 0.61, "acting": 0.3, "simulation": 0.05, "saving": 0.01},
    )


def test_scores_are_the_mean_of_the_latest_episodes():
    recent = progress_after(12).recent
    assert recent.mean("walker-walk") == pytest.approx((6 + 8 + 10) / 3000)
    assert recent.mean("pygame-pong") == pytest.approx((7 + 9 + 11) / 3000)
    assert math.isnan(recent.mean("cheetah-run"))


def lines_run(display: Display, progress: RunProgress) -> int:
    """Draws, and counts the lines of code that this takes."""
    count = 0

    def tracer(*_):
        nonlocal count
        count += 1
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        display.advance(progress)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("terminal", [True, False])
def test_a_redraw_costs_the_same_however_long_the_run_is(monkeypatch, terminal):
    monkeypatch.setattr("newt_agent.display._REFRESH_SECONDS", 0.0)
    monkeypatch.setattr("newt_agent.display._PLAIN_SECONDS", 0.0)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    display = Display(console)
    counts = []
    with display.running():
        for episodes in (10, 10, 100_000):  # the first one warms up
            progress = progress_after(episodes)
            display.advance(progress)
            counts.append(lines_run(display, progress))
    assert console.file.getvalue().count("walker-walk") >= 3
    plain = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())
    assert all(share in plain for share in ("learning 61%", "acting 30%", "simulation 5%"))
    # Numbers with more digits take a few lines more.
    assert counts[2] < 1.5 * counts[1]


def test_what_is_being_built_is_told_and_goes_when_it_is_there(monkeypatch):
    for name in ("_REFRESH_SECONDS", "_BUILDING_SECONDS"):
        monkeypatch.setattr(f"newt_agent.display.{name}", 0.0)
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80)
    with Display(terminal).building() as on_progress:
        on_progress(1, 16)
        assert "1 of 16 environments are ready" in terminal.file.getvalue()
    after = terminal.file.getvalue().rpartition("are ready")[2]
    assert "\x1b[2K" in after, "the line is erased"
    plain = Console(file=io.StringIO(), width=80)
    with Display(plain).building() as on_progress:
        on_progress(1, 16)
    assert plain.file.getvalue() == "1 of 16 environments are ready\n"


def test_an_evaluation_outside_a_run_shows_how_far_it_is(monkeypatch):
    monkeypatch.setattr("newt_agent.display._REFRESH_SECONDS", 0.0)
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        with Display(console).evaluating("after", 2) as on_episode:
            for _ in range(2):
                on_episode(Episode("a", 0.5, 1.0, 1.0, 1))
        told = console.file.getvalue()
        assert "evaluating the trained agent (2 episodes)" in told
        assert ("0/2" in told and "1/2" in told and "2/2" in told) == terminal


def test_a_bar_takes_any_title():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Display(console).bar("recording [a]/{b}.mp4", 2) as show:
        show(2)
    assert "recording [a]/{b}.mp4" in console.file.getvalue()


def test_names_with_brackets_are_printed_as_they_are():
    """rich would take them for its own marks: `[/run]` raises, `[run]` vanishes."""
    console = Console(file=io.StringIO(), width=120)
    display = Display(console)
    display.say("results in runs/[/run] [bold]")
    display.warn("runs/[run]/metrics.csv is damaged")
    assert console.file.getvalue() == (
        "results in runs/[/run] [bold]\nwarning: runs/[run]/metrics.csv is damaged\n"
    )


def test_names_of_tasks_are_whole_in_a_narrow_terminal():
    name = "pygame-point-maze-with-a-long-name"
    kinds = ("zero_shot", "finetuned", "untrained", "scratch")
    means = {kind: 0.5 for kind in kinds} | {f"{kind}_ci": [0.25, 0.75] for kind in kinds}
    file = io.StringIO()
    Display(Console(file=file, width=80)).transfer(
        {
            "tasks": {name: means | {"seeds": 5}},
            "total": means,
            "settings": {"steps": 100_000},
            "missing": [],
        }
    )
    assert "…" not in file.getvalue()
    first = "".join(
        line.split("│")[1].strip() for line in file.getvalue().splitlines() if "│" in line
    )
    assert name in first
