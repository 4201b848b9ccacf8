"""What a process does when it is asked to stop."""

import signal
import time

import pytest

from newt_agent import system
from newt_agent.system import stop_requests


@pytest.fixture
def received():
    """Signals that reach the handlers the program had before."""
    seen = []
    before = {
        one: signal.signal(one, lambda number, _: seen.append(number))
        for one in (signal.SIGINT, signal.SIGTERM)
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
    signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM]
