"""Worker processes of the multitask vector environment: the same trajectories, and what fails."""

import contextlib
import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
from faults import Counting, Fault, write_huge, write_nan
from gymnasium.error import ClosedEnvironmentError
from vectors import GUARD, actions, alive, assert_same, children, make

from mmbench import catalog
from mmbench.catalog import EnvironmentFailure

LIGHT = "pygame-pong,pygame-coinrun,pygame-landing,pygame-highway,pygame-cowboy"
"""Five tasks whose simulator loads in a moment."""


@pytest.mark.parametrize("num_workers", [1, 3])
def test_trajectories_do_not_depend_on_the_workers(num_workers):
    alone, spread = make(num_workers=0), make(num_workers=num_workers)
    assert alone.num_workers == 0
    assert spread.num_workers == num_workers
    np.testing.assert_array_equal(alone.reset(seed=7)[0], spread.reset(seed=7)[0])
    for batch in actions(alone, 505):  # past the ends of episodes of 200 and of 500 steps
        assert_same(spread.step(batch), alone.step(batch))
    np.testing.assert_array_equal(alone.episode_rng, spread.episode_rng)
    alone.close()
    spread.close()


def test_halves_of_workers_step_as_the_whole_does():
    whole, halves = make(num_workers=0), make()
    whole.reset(seed=1)
    halves.reset(seed=1)
    for batch in actions(whole, 205):
        expected = whole.step(batch)
        halves.send(batch[0::2], 0)
        halves.send(batch[1::2], 1)
        for half in (1, 0):
            received = halves.recv(half)
            for ours, theirs in zip(received[:4], expected[:4], strict=True):
                np.testing.assert_array_equal(ours, theirs[half::2])
            np.testing.assert_array_equal(received[4]["score"], expected[4]["score"][half::2])
    halves.close()


def test_views_instead_of_copies():
    env = make("pygame-pong,pygame-cowboy", num_workers=1, copy=False)
    first, _ = env.reset(seed=0)
    before = first.copy()
    later, *_ = env.step(actions(env, 1)[0])
    assert np.shares_memory(first, later)
    assert (first != before).any()
    env.close()


def test_frames_attributes_and_calls_of_workers():
    env = make("pygame-pong,pygame-cowboy", obs="state+rgb", render_mode="rgb_array")
    obs, _ = env.reset(seed=0)
    frames = env.render()
    for i in range(2):
        np.testing.assert_array_equal(frames[i], obs["rgb"][i])
    assert [task.name for task in env.get_attr("task")] == ["pygame-pong", "pygame-cowboy"]
    env.set_attr("note", ["a", "b"])
    assert env.get_attr("note") == ("a", "b")
    obs, *_ = env.step(actions(env, 1)[0])
    assert (obs["rgb"] != frames).any()
    env.close()


def failing(kind, on_error, **kwargs):
    """Environments of two workers, one of which fails in the third step; and a batch of actions."""
    env = make(LIGHT, on_error=on_error, **kwargs)
    env.reset(seed=0)
    faults = [Fault("none") for _ in env.tasks]
    faults[1] = Fault(kind, after=2)
    env.set_attr("advance", faults)
    batch = actions(env, 1)[0]
    env.step(batch)
    env.step(batch)
    return env, batch


CAUSES = {
    "raise": "ArithmeticError: the contact solver gave up(?s:.*)Traceback",
    "exit": "raised SystemExit: the licence ran out(?s:.*)Traceback",
    "kill": "its worker process was killed by SIGKILL, as .* where memory runs out",
    "segfault": "its worker process was killed by SIGSEGV",
    "hang": "its worker process did not finish within 2 s",
    "nan": "returned the reward nan",
    "huge": r"returned the reward -2e\+18; the magnitude may be 1e\+18 at most",
}


@pytest.mark.parametrize("kind", CAUSES)
def test_a_failure_is_one_error_that_names_it(kind):
    env, batch = failing(kind, "raise", time_limit=2.0 if kind == "hang" else 60.0)
    with pytest.raises(EnvironmentFailure, match=CAUSES[kind]) as caught:
        env.step(batch)
    assert (caught.value.task, caught.value.index) == ("pygame-coinrun", 1)
    assert "'pygame-coinrun' (environment 1)" in str(caught.value)
    with pytest.raises(ClosedEnvironmentError, match="closed after a failure"):
        env.step(batch)
    began = time.monotonic()
    env.close()
    assert time.monotonic() - began < GUARD
    assert not children()


def test_while_everything_stands_still_no_worker_counts_as_hanging(monkeypatch):
    """After Ctrl-Z and fg an hour later, the clock has gone on and the worker has not."""
    env = make("pygame-pong", num_workers=1, time_limit=60.0)
    env.reset(seed=0)
    env.set_attr("advance", Counting(seconds=0.5))
    with monkeypatch.context() as patch:
        clock = SimpleNamespace(monotonic=itertools.count(step=3600).__next__)
        patch.setattr("mmbench.vector.pool.time", clock)
        assert env.step(actions(env, 1)[0])[1] == 1.0
    env.close()


@pytest.mark.parametrize("kind", CAUSES)
def test_a_failure_restarts_where_asked_for(kind):
    env, batch = failing(kind, "restart", time_limit=2.0 if kind == "hang" else 60.0)
    processes = [worker.pid for worker in env.pool.workers]
    obs, reward, _, truncated, infos = env.step(batch)
    restarted = infos["restarted"]
    assert restarted[1]
    replaced = [a.pid != b for a, b in zip(env.pool.workers, processes, strict=True)]
    if kind in ("raise", "exit", "nan", "huge"):
        assert not any(replaced)
        assert restarted.sum() == 1
    else:
        assert sum(replaced) == 1
        assert 1 <= restarted.sum() < env.num_envs
    np.testing.assert_array_equal(truncated, restarted)
    np.testing.assert_array_equal(infos["_final_obs"], restarted)
    assert (reward[restarted] == 0).all()
    assert (reward[~restarted] == 0.1).all()  # the others did not notice
    assert np.isfinite(obs).all()
    assert env.failures.tolist() == [0, 1, 0, 0, 0]
    # The new episode is one like any other.
    _, reward, _, truncated, infos = env.step(batch)
    assert not truncated.any()
    assert not infos["restarted"].any()
    assert (reward[restarted] != 0.1).all()
    env.close()


@pytest.mark.parametrize("method", ["begin", "advance"])
def test_an_environment_that_exits_does_not_end_the_calling_process(method):
    env = make("pygame-pong,pygame-cowboy", num_workers=0)
    env.reset(seed=0)
    env.set_attr(method, lambda *args: sys.exit("the licence ran out"))
    with pytest.raises(EnvironmentFailure, match="SystemExit: the licence ran out"):
        env.step(actions(env, 1)[0]) if method == "advance" else env.reset()
    env.close()


@pytest.mark.parametrize(("write", "value"), [(write_nan, "nan"), (write_huge, r"2\.3\d*e\+18")])
def test_an_unusable_observation_is_named(write, value):
    env = make("pygame-pong,walker-walk", num_workers=1)
    env.reset(seed=0)
    env.set_attr("observe", [write, write])
    with pytest.raises(
        EnvironmentFailure, match=rf"'pygame-pong' .*observation {value} in entry 2"
    ):
        env.step(actions(env, 1)[0])
    env.close()


def test_a_restart_leaves_no_unusable_number():
    env = make("pygame-pong,walker-walk", num_workers=1, on_error="restart")
    env.reset(seed=0)
    env.set_attr("observe", [write_huge, write_huge])
    obs, _, _, truncated, infos = env.step(actions(env, 1)[0])
    assert truncated.all() and infos["restarted"].all()
    assert (abs(obs) < 1e3).all()
    assert (abs(np.stack(infos["final_obs"])) < 1e3).all()
    env.close()


def test_a_failure_in_one_half_is_told_of_in_the_other_too():
    env = make(LIGHT, on_error="restart", num_workers=1)
    env.reset(seed=0)
    faults = [Fault("none") for _ in env.tasks]
    faults[2] = Fault("kill")
    env.set_attr("advance", faults)
    batch = actions(env, 1)[0]
    env.send(batch[0::2], 0)
    env.send(batch[1::2], 1)
    assert env.recv(0)[4]["restarted"].all()
    assert env.recv(1)[4]["restarted"].all()
    # Nothing was stepped: the new episodes are at their start.
    assert [int(state["env/step"]) for state in env.call("get_state")] == [0] * env.num_envs
    assert not env.step(batch)[4]["restarted"].any()
    env.close()


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_failures_in_both_halves_at_once_are_told_of_and_counted(seconds):
    env = make("pygame-pong", envs_per_task=8, on_error="restart")
    env.reset(seed=0)

    def some(half, worker):
        return next(i for i in range(half, 8, 2) if env.owner[i] == worker)

    # While the parent asks the first worker, which is busy, why one has failed, another fails.
    faults = [Fault("none") for _ in range(8)]
    faults[some(0, 0)] = Fault("raise")
    faults[some(1, 0)] = Fault("none", seconds=2 * seconds)
    faults[some(1, 1)] = Fault("raise", seconds=seconds)
    env.set_attr("advance", faults)
    batch = actions(env, 1)[0]
    env.send(batch[0::2], 0)
    env.send(batch[1::2], 1)
    expected = [fault.kind == "raise" for fault in faults]
    for half in (0, 1):
        _, reward, _, truncated, infos = env.recv(half)
        assert infos["restarted"].tolist() == truncated.tolist() == expected[half::2]
        assert reward.tolist() == [0.0 if failed else 0.1 for failed in expected[half::2]]
    assert env.failures.tolist() == expected
    env.close()


@pytest.mark.parametrize("use", ["reset", "step", "call"])
def test_all_workers_may_die_at_once(use):
    env, alone = make(LIGHT, on_error="restart"), make(LIGHT, num_workers=0)
    env.reset(seed=0)
    for worker in env.pool.workers:
        os.kill(worker.pid, signal.SIGKILL)
    batch = actions(env, 1)[0]
    if use == "step":
        assert env.step(batch)[4]["restarted"].all()
    if use == "call":
        assert env.get_attr("task") == env.tasks
    np.testing.assert_array_equal(env.reset(seed=3)[0], alone.reset(seed=3)[0])
    expected = alone.step(batch)
    expected[4].update(restarted=np.zeros(5, bool), _restarted=np.ones(5, bool))
    assert_same(env.step(batch), expected)
    assert env.failures.sum() == 2
    env.close()


def test_an_environment_that_always_fails_is_an_error_in_the_end():
    env = make("pygame-pong", num_workers=0, on_error="restart")
    env.reset(seed=0)
    with pytest.raises(EnvironmentFailure, match="11 times in a row.*solver gave up"):
        for _ in range(50):
            env.set_attr("advance", Fault("raise"))
            env.step(actions(env, 1)[0])
    env.close()


def test_a_task_that_cannot_be_built_is_named():
    broken = dataclasses.replace(catalog.get("walker-walk"), native="walker/fly")
    with pytest.raises(
        EnvironmentFailure, match=r"'walker-walk' \(environment 0\) cannot be built"
    ):
        make([broken], num_workers=1)
    assert not children()


SCRIPT = textwrap.dedent(
    """
    import signal, sys, time
    import gymnasium as gym, numpy as np
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    env = gym.make_vec(
        "mmbench:mmbench/multitask-v0", tasks="pygame-pong,pygame-cowboy", num_workers=2
    )
    env.reset(seed=0)
    print(*[worker.pid for worker in env.unwrapped.pool.workers], flush=True)
    while True:
        env.step(np.zeros((2, 16), np.float32))
    """
)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_workers_leave_signals_to_their_parent(how):
    # Ctrl-C reaches all processes of a terminal, and Slurm and systemd end them all by SIGTERM.
    env = make("pygame-pong,pygame-cowboy", num_workers=2)
    env.reset(seed=0)
    for worker in env.pool.workers:
        os.kill(worker.pid, how)
    env.step(np.zeros((2, 16), np.float32))
    env.close()
    assert not children()


def test_a_script_that_does_not_close_its_environment_ends(tmp_path):
    script = tmp_path / "script.py"
    never = "type(env.unwrapped).close = lambda self: None"  # not even when it is collected
    script.write_text(SCRIPT.replace("while True:", "for _ in range(3):") + never)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=GUARD, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs affinities")
def test_workers_wait_on_a_core_each_only_where_there_is_none_to_spare():
    all_cores = os.sched_getaffinity(0)
    if len(all_cores) < 2:
        pytest.skip("needs two cores")
    cores = set(sorted(all_cores)[:2])
    os.sched_setaffinity(0, cores)
    try:
        for num_workers, expected in ((2, [{core} for core in cores]), (1, [cores])):
            env = make("pygame-pong", envs_per_task=num_workers, num_workers=num_workers)
            env.reset(seed=0)
            deadline = time.monotonic() + GUARD
            while True:
                waiting = [os.sched_getaffinity(worker.pid) for worker in env.pool.workers]
                if all(one in waiting for one in expected):
                    break
                assert time.monotonic() < deadline, waiting
                time.sleep(0.01)
            env.close()
    finally:
        os.sched_setaffinity(0, all_cores)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_ends(how, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)  # without an `if __name__ == "__main__"`, as people write them
    before = set(os.listdir("/dev/shm"))
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell in the background may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        workers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(workers) == 2
        assert all(alive(pid) for pid in workers)
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does
        else:
            process.send_signal(how)
        _, errors = process.communicate(timeout=GUARD)
    finally:
        process.kill()
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
    deadline = time.monotonic() + GUARD
    while any(alive(pid) for pid in workers) or set(os.listdir("/dev/shm")) - before:
        assert time.monotonic() < deadline, errors
        time.sleep(0.1)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells what memory it has")
def test_environments_that_come_and_go_leave_no_memory_behind():
    """As those of evaluations do, beside the environments of a run."""
    pytest.importorskip("metaworld")
    with contextlib.closing(make("pygame-pong", num_workers=1)) as kept:
        (worker,) = kept.pool.workers
        taken = []
        for _ in range(4):
            make("mw-reach", envs_per_task=6, workers=kept).close()
            kept.reset(seed=0)  # which comes after the closing
            with open(f"/proc/{worker.pid}/statm") as file:
                taken.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    # Of the first ones stay the libraries. Each environment is 14 MB.
    assert taken[-1] - taken[0] < 60, taken
