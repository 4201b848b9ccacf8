"""What a process does when it is asked to stop."""

import os
import signal
import time

import pytest

from newt_agent import system
from newt_agent.display import Display
from newt_agent.system import memory_bytes, stop_requests


@pytest.fixture
def received():
    """Signals that reach the handlers the program had before."""
    seen = []
    before = {
        one: signal.signal(one, lambda number, _: seen.append(number))
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield seen
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_signals_that_come_together_are_one_request(received, second):
    with stop_requests() as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)  # from `timeout` to the process group
        signal.raise_signal(second)  # the launcher's copy
        assert stop.is_set()
        assert received == []


def test_a_later_signal_acts_at_once(received, monkeypatch):
    monkeypatch.setattr(system, "ONE_REQUEST_S", 0.05)
    with stop_requests():
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)
        assert received == [signal.SIGINT]


def test_handlers_come_back(received):
    with stop_requests():
        pass
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.raise_signal(one)
    assert received == [signal.SIGTERM, signal.SIGHUP]


def test_hang_ups_are_one_request_however_many_come(received, monkeypatch):
    """The shell and the system send them, when the terminal or the connection is gone."""
    monkeypatch.setattr(system, "ONE_REQUEST_S", 0.0)
    with stop_requests() as stop:
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
            assert stop.is_set()
            time.sleep(0.01)
        assert received == []
        signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM]


def test_nohup_stays_in_force(received):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_requests() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()


def test_output_that_nobody_reads_any_more_is_a_request_too(received, monkeypatch):
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        display = Display()
        with stop_requests() as stop:
            for _ in range(3):
                display.say("progress")
            assert stop.is_set()
        os.dup2(os.open(os.devnull, os.O_WRONLY), theirs)  # what is left in the buffer
    assert received == []


@pytest.mark.parametrize(
    ("limits", "least"),
    [({}, None), ({"": "max", "job": "max"}, None), ({"job": "4096"}, 4096)]
    + [({"": "8192", "job/step": "max"}, 8192), ({"job": "5000", "job/step": "6000"}, 5000)],
)
def test_memory_is_what_the_container_or_the_job_may_use(tmp_path, monkeypatch, limits, least):
    root = tmp_path / "cgroup"
    (root / "job" / "step").mkdir(parents=True)
    for folder, limit in limits.items():
        (root / folder / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "self").write_text("1:cpu:/other\n0::/job/step\n")
    group_limits = system._group_limits
    monkeypatch.setattr(system, "_group_limits", lambda *_: group_limits(root, tmp_path / "self"))
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_bytes("cpu") == (least or whole)
