"""Exceptions in the middle of a call (Ctrl-C, an alarm, a notebook's stop button)."""

import contextlib
import os
import signal
import sys
import time

import numpy as np
import pytest
from faults import Counting, Fault
from vectors import GUARD, actions, assert_same, children, make

from mmbench.vector import supervisor
from mmbench.vector.worker import rows_of


class Alarm(Exception):
    pass


def interrupt(seconds, body, *args):
    """Calls something that an exception ends after a while; None if it did.

    The exception is raised again until it comes through: the interpreter swallows what is raised
    in some places, such as `__del__`.
    """
    armed = [True]

    def ring(number, frame):
        if armed:
            raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.01)
        result = body(*args)
        armed.clear()
        return result
    except Alarm:
        armed.clear()
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def workers():
    """Two worker processes that tests share."""
    env = make("pygame-pong", envs_per_task=2)
    yield env
    env.close()


def counting(seconds=0.2, length=500, **kwargs):
    """Environments of two workers that count their steps, which take a while."""
    env = make("pygame-pong,pygame-cowboy,pygame-landing,pygame-highway", **kwargs)
    env.reset(seed=0)
    env.set_attr("advance", [Counting(seconds, length) for _ in env.tasks])
    return env, actions(env, 1)[0]


def test_an_interrupted_step_is_not_the_next_one_s_result(workers):
    env, batch = counting(workers=workers)
    for number in (2, 4, 6):
        assert interrupt(0.1, env.step, batch) is None
        _, reward, *_ = env.step(batch)
        assert reward.tolist() == [number] * 4
    env.close()


@pytest.mark.parametrize("half", [0, 1])
def test_recv_can_be_called_again(workers, half):
    env, batch = counting(workers=workers)
    for number in (1, 2):
        env.send(batch[half::2], half)
        assert interrupt(0.1, env.recv, half) is None
        _, reward, *_ = env.recv(half)
        assert reward.tolist() == [number] * 2
        with pytest.raises(RuntimeError, match="has no actions"):
            env.recv(half)
    env.close()


def test_halves_are_not_mixed_up_when_something_else_is_interrupted(workers):
    env, batch = counting(workers=workers)
    env.send(batch[0::2], 0)
    assert interrupt(0.1, env.get_attr, "task") is None
    env.send(batch[1::2], 1)
    assert env.recv(1)[1].tolist() == [1, 1]
    assert env.recv(0)[1].tolist() == [1, 1]
    env.close()


def test_an_interrupted_call_is_not_the_next_one_s_result(workers):
    env, batch = counting(workers=workers)
    env.set_attr("nap", time.sleep)
    for _ in range(2):
        assert interrupt(0.1, env.call, "nap", 0.3) is None
        assert [task.name for task in env.get_attr("task")] == [task.name for task in env.tasks]
    assert interrupt(0.1, env.call, "nap", 0.3) is None
    _, reward, *_ = env.step(batch)
    assert reward.tolist() == [1.0] * 4
    env.close()


def test_an_episode_that_ends_in_an_interrupted_step_is_told_of(workers):
    env, batch = counting(length=2, workers=workers)
    env.step(batch)
    assert interrupt(0.1, env.step, batch) is None
    # The environments wait in the new episode until somebody knows of it.
    _, reward, _, truncated, infos = env.step(batch)
    assert truncated.all()
    assert reward.tolist() == [2.0] * 4
    assert infos["_final_obs"].all()
    _, reward, _, truncated, _ = env.step(batch)
    assert reward.tolist() == [3.0] * 4
    assert not truncated.any()
    env.close()


def test_a_step_that_restarts_is_told_of_though_it_is_interrupted():
    env, batch = counting(on_error="restart")
    victim = env.pool.workers[0].pid
    assert interrupt(0.1, env.step, batch) is None
    os.kill(victim, signal.SIGKILL)
    interrupt(0.3, env.step, batch)  # while it waits for the others, or builds anew
    seen = np.zeros(4, bool)
    for _ in range(3):
        seen |= env.step(batch)[4]["restarted"]
    assert seen.tolist() == (env.owner == 0).tolist()
    assert env.failures.sum() == 1
    env.close()


def test_another_worker_may_die_where_a_restart_is_interrupted():
    env, batch = counting(seconds=0.0, on_error="restart")
    first, second = (worker.pid for worker in env.pool.workers)
    os.kill(first, signal.SIGKILL)
    assert interrupt(0.05, env.step, batch) is None  # a new worker takes longer to start
    os.kill(second, signal.SIGKILL)
    assert env.get_attr("task") == env.tasks
    assert env.step(batch)[4]["restarted"].all()
    assert not env.step(batch)[4]["restarted"].any()
    assert env.failures.sum() == 2
    env.close()


def interrupt_at(line, body, *args):
    """Calls something that an exception ends at the n-th line of the supervisor's code.

    Returns:
        Whether there were so many lines.
    """
    left = [line]

    def trace(frame, event, _):
        if frame.f_code.co_filename != supervisor.__file__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise Alarm
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        body(*args)
    except Alarm:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("fault", ["raise", "nan"])
def test_a_failure_counts_once_wherever_its_recovery_is_interrupted(workers, fault, monkeypatch):
    monkeypatch.setattr(supervisor, "MAX_FAILURES", 10_000)
    env = make("pygame-pong", envs_per_task=2, on_error="restart", workers=workers)
    env.reset(seed=0)
    batch = actions(env, 1)[0]
    times, line = 0, 1
    while True:
        env.set_attr("advance", [Fault(fault), Fault("none")])
        interrupted = interrupt_at(line, env.step, batch)
        seen = sum(env.step(batch)[4]["restarted"] for _ in range(3))
        times, line = times + 1, line + 1
        if not interrupted:
            break
        assert seen.tolist() == [True, False]
        assert env.failures.tolist() == [times, 0]
    assert times > 50
    env.close()


def steps_taken(env, half):
    """Steps of the episodes of a half."""
    taken = {int(state["env/step"]) for state in env.call("get_state")[half::2]}
    assert len(taken) == 1  # all of them took a step, or none did
    return taken.pop()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_alarms_at_any_moment(num_workers):
    tasks = "pygame-pong,walker-walk,pygame-landing,cartpole-swingup"
    env, alone = make(tasks, num_workers), make(tasks, num_workers=0)
    batches = actions(env, 181)
    rng = np.random.default_rng(num_workers)
    interrupted = {"reset": 0, "whole": 0, "halves": 0, "get_attr": 0}

    def halves(batch, results):
        for half in (0, 1):
            env.send(batch[half::2], half)
        for half in (1, 0):
            results[half] = env.recv(half)
        return results

    for seed in range(3):
        while interrupted["reset"] <= seed:
            result = interrupt(rng.uniform(0, 3e-3), lambda: env.reset(seed=100))
            interrupted["reset"] += result is None
        obs, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(obs, alone.reset(seed=seed)[0])
        for step, batch in enumerate(batches[:180]):
            moment = rng.uniform(0, 2e-3)
            kind = ("whole", "halves", "get_attr")[rng.integers(3)]
            results = {}
            if kind == "whole":
                result = interrupt(moment, env.step, batch)
            elif kind == "halves":
                result = interrupt(moment, halves, batch, results)
            else:
                result = interrupt(moment, env.get_attr, "task")
                assert result in (None, env.tasks)
            interrupted[kind] += result is None
            expected = alone.step(batch)
            if kind == "whole" and result:
                assert_same(result, expected)
                continue
            for half in (0, 1):
                if half not in results:
                    if steps_taken(env, half) == step:
                        env.send(batch[half::2], half)
                    # Otherwise a whole step took it, or the result was lost on the way back.
                    with contextlib.suppress(RuntimeError):
                        results[half] = env.recv(half)
                if half in results:
                    assert_same(results[half], expected, rows_of(half))
        assert_same(env.step(batches[180]), alone.step(batches[180]))
    assert all(interrupted.values()), interrupted
    assert not env.failures.any()
    env.close()
    alone.close()


def test_without_workers_a_reset_has_to_come_next():
    env, batch = counting(num_workers=0)
    env.set_attr("advance", interrupted_advance)
    with pytest.raises(KeyboardInterrupt):
        env.step(batch)
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        env.step(batch)
    with pytest.raises(KeyboardInterrupt):
        env.reset(seed=0)
        env.send(batch[0::2], 0)
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        env.recv(0)
    env.reset(seed=0)
    env.close()


def interrupted_advance(action):
    raise KeyboardInterrupt


def test_an_interrupted_start_leaves_nothing_behind():
    before = set(children())
    for seconds in (0.001, 0.01, 0.1, 0.5):
        interrupt(seconds, lambda: make("pygame-pong,walker-walk").close())
        deadline = time.monotonic() + GUARD
        while set(children()) - before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
