"""Several vector environments in the same worker processes."""

import gc
import os
import signal

import numpy as np
import pytest
from faults import Counting, Fault
from vectors import actions, assert_same, children, make

from mmbench.catalog import EnvironmentFailure

TASKS = "pygame-pong,pygame-cowboy,pygame-landing,pygame-highway"
OTHERS = "pygame-landing,pygame-pong,pygame-reacher-hard"


def test_two_users_in_turn_get_their_own_results():
    ours, theirs = make(TASKS), None
    processes = [worker.pid for worker in ours.pool.workers]
    theirs = make(OTHERS, workers=ours)
    assert theirs.num_workers == 2
    alone, others = make(TASKS, num_workers=0), make(OTHERS, num_workers=0)
    for env, single, seed in ((ours, alone, 3), (theirs, others, 4)):
        np.testing.assert_array_equal(env.reset(seed=seed)[0], single.reset(seed=seed)[0])
    for a, b in zip(actions(ours, 50), actions(theirs, 50, seed=1), strict=True):
        ours.send(a[0::2], 0)
        assert_same(theirs.step(b), others.step(b))
        ours.send(a[1::2], 1)
        assert theirs.get_attr("task") == theirs.tasks
        expected = alone.step(a)
        assert_same(ours.recv(1), expected, slice(1, None, 2))
        assert_same(ours.recv(0), expected, slice(0, None, 2))
    theirs.close()
    assert sorted(children()) == sorted(processes)
    batch = actions(ours, 1)[0]
    assert_same(ours.step(batch), alone.step(batch))
    ours.close()
    assert not children()


def test_the_last_user_ends_the_workers():
    first = make(TASKS)
    second = make(OTHERS, workers=first)
    second.reset(seed=0)
    first.close()
    second.step(actions(second, 1)[0])
    del second
    gc.collect()
    assert not children()


def test_a_user_that_is_dropped_closes_its_environments_only():
    first = make(TASKS)
    first.reset(seed=0)
    second = make(OTHERS, workers=first)
    second.reset(seed=0)
    processes = sorted(children())
    del second
    gc.collect()
    first.step(actions(first, 1)[0])
    assert sorted(children()) == processes
    del first
    gc.collect()
    assert not children()


@pytest.mark.parametrize("use", ["reset", "get_attr", "step", "half"])
@pytest.mark.parametrize("on_error", ["restart", "raise"])
def test_a_worker_that_one_user_replaces_is_news_to_the_other(use, on_error):
    ours = make(TASKS, on_error="restart")
    ours.reset(seed=0)
    theirs = make(OTHERS, workers=ours, on_error=on_error)
    theirs.reset(seed=0)
    batch = actions(theirs, 1)[0]
    victim = ours.pool.workers[1].pid
    if use == "half":
        theirs.set_attr("advance", [Counting(seconds=0.5) for _ in theirs.tasks])
        theirs.send(batch[0::2], 0)
        theirs.send(batch[1::2], 1)
    os.kill(victim, signal.SIGKILL)
    infos = ours.step(actions(ours, 1)[0])[4]
    assert infos["restarted"].tolist() == (ours.owner == 1).tolist()

    def use_them():
        if use == "reset":
            return theirs.reset(seed=0)
        if use == "get_attr":
            return theirs.get_attr("task")
        if use == "step":
            return theirs.step(batch)
        return [theirs.recv(half) for half in (0, 1)]

    if on_error == "raise":
        with pytest.raises(EnvironmentFailure, match="worker process was killed by SIGKILL") as e:
            use_them()
        assert e.value.lost == 1
        assert theirs.owner[e.value.index] == 1
    else:
        restarted = np.zeros(theirs.num_envs, bool)
        result = use_them()
        if use == "get_attr":
            assert result == theirs.tasks
        if use == "step":
            restarted |= result[4]["restarted"]
        if use == "half":
            for half in (0, 1):
                restarted[half::2] |= result[half][4]["restarted"]
        if use == "get_attr":
            restarted |= theirs.step(batch)[4]["restarted"]
        expected = np.zeros(theirs.num_envs, bool) if use == "reset" else theirs.owner == 1
        assert restarted.tolist() == expected.tolist()
        assert theirs.failures.sum() == 1
        assert not theirs.step(batch)[4]["restarted"].any()
    assert not ours.step(actions(ours, 1)[0])[4]["restarted"].any()
    theirs.close()
    ours.close()


def test_what_hangs_is_ended_with_its_user_only_once():
    ours = make(TASKS, on_error="restart")
    ours.reset(seed=0)
    theirs = make(OTHERS, workers=ours, time_limit=0.5)
    theirs.reset(seed=0)
    theirs.set_attr("advance", [Fault("hang"), *(Counting() for _ in range(2))])
    with pytest.raises(EnvironmentFailure, match=r"'pygame-landing' .*did not finish within 0.5 s"):
        theirs.step(actions(theirs, 1)[0])
    theirs.close()
    infos = ours.step(actions(ours, 1)[0])[4]
    assert infos["restarted"].tolist() == (ours.owner == theirs.owner[0]).tolist()
    ours.close()


def test_users_of_the_calling_process():
    ours = make(TASKS, num_workers=0)
    ours.reset(seed=0)
    theirs = make(OTHERS, workers=ours)
    assert theirs.num_workers == 0
    theirs.reset(seed=0)
    theirs.step(actions(theirs, 1)[0])
    theirs.close()
    ours.step(actions(ours, 1)[0])
    ours.close()
