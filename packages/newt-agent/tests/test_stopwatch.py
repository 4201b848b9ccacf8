"""Where the time of a run goes."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from newt_agent.stopwatch import Stopwatch


def test_shares_are_of_all_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("newt_agent.stopwatch.time.perf_counter", lambda: now)
    watch = Stopwatch()
    for what, seconds in (("acting", 2.0), ("learning", 5.0), ("acting", 1.0), ("", 2.0)):
        if what:
            with watch.on(what):
                now += seconds
        else:
            now += seconds
    assert watch.shares == pytest.approx({"learning": 0.5, "acting": 0.3})
    assert list(watch.shares) == ["learning", "acting"]  # the largest first
    with pytest.raises(KeyError), watch.on("saving"):
        now += 10.0
        raise KeyError
    assert watch.shares["saving"] == pytest.approx(0.5)


def test_a_run_logs_where_its_time_went(trained):
    events = EventAccumulator(str(trained / "tensorboard"))
    events.Reload()
    parts = {"acting", "simulation", "learning", "evaluation", "saving"}
    assert {f"time/{part}" for part in parts} <= set(events.Tags()["scalars"])
    shares = [events.Scalars(f"time/{part}")[-1].value for part in parts]
    assert all(0 < share < 1 for share in shares) and sum(shares) <= 1
