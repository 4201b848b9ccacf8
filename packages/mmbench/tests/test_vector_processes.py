"""Worker processes and the processes around them: forks, daemons, scripts, ends."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time

import faults
import numpy as np
import pytest
from vectors import GUARD, actions, alive, children, make

from mmbench.catalog import EnvironmentFailure

PAIR = "pygame-pong,pygame-cowboy"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

HEAD = """
import multiprocessing, os, sys
import gymnasium as gym, numpy as np
import mmbench

def make(num_workers=2, **kwargs):
    return gym.make_vec(
        "mmbench/multitask-v0", tasks="pygame-pong,pygame-cowboy", num_workers=num_workers, **kwargs
    ).unwrapped

ACTIONS = np.zeros((2, 16), np.float32)
"""


def run(tmp_path, body):
    """Runs a script to its end; returns what it printed."""
    script = tmp_path / "script.py"
    script.write_text(HEAD + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=GUARD, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def test_workers_of_an_environment_that_is_dropped_end():
    env = make(PAIR)
    env.reset(seed=0)
    assert len(children()) == 2
    del env
    gc.collect()
    assert not children()


@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(0)", "del env", "env.close()"])
def test_a_forked_child_leaves_the_workers_alone(tmp_path, end):
    lines = run(
        tmp_path,
        f"""
        env = make(render_mode="rgb_array")
        env.reset(seed=0)
        pid = os.fork()
        if not pid:
            for use in (
                lambda: env.step(ACTIONS), lambda: env.reset(seed=1), lambda: env.render(),
                lambda: env.send(ACTIONS[:1], 0), lambda: env.get_attr("task"),
            ):
                try:
                    use()
                except RuntimeError as error:
                    print(error, flush=True)
            {end}
            sys.exit()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        alone = make(num_workers=0)
        alone.reset(seed=0)
        for _ in range(3):
            assert (env.step(ACTIONS)[0] == alone.step(ACTIONS)[0]).all()
        env.close()
        print("stepped")
        """,
    )
    assert len(lines) == 6
    assert all("not to one forked from it" in line for line in lines[:5])
    assert lines[5] == "stepped"


def test_a_forked_child_has_its_own_copy_of_what_has_no_workers(tmp_path):
    lines = run(
        tmp_path,
        """
        env = make(num_workers=0)
        obs, _ = env.reset(seed=0)
        pid = os.fork()
        if not pid:
            for _ in range(5):
                env.step(ACTIONS + 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        again, _ = env.reset(options={"reset_mask": np.zeros(2, bool)})
        assert (again == obs).all()
        print("untouched")
        """,
    )
    assert lines == ["untouched"]


def test_beside_an_async_vector_environment_that_forks(tmp_path):
    lines = run(
        tmp_path,
        """
        env = make()
        env.reset(seed=0)
        theirs = gym.vector.AsyncVectorEnv(
            [lambda: gym.make("mmbench/pygame-pong-v0")] * 2, context="fork"
        )
        theirs.reset(seed=0)
        for _ in range(3):
            env.step(ACTIONS)
            theirs.step(ACTIONS)
        theirs.close()
        env.step(ACTIONS)
        env.close()
        print("stepped")
        """,
    )
    assert lines == ["stepped"]


def test_a_daemon_process_has_workers_of_its_own(tmp_path):
    lines = run(
        tmp_path,
        """
        def inside():
            env = make()
            env.reset(seed=0)
            env.step(ACTIONS)
            print(*[worker.pid for worker in env.pool.workers], flush=True)
            os.kill(os.getpid(), 9)

        if __name__ == "__main__":
            process = multiprocessing.get_context("spawn").Process(target=inside, daemon=True)
            process.start()
            process.join()
        """,
    )
    wait_for_the_end([int(pid) for pid in lines[0].split()])


def wait_for_the_end(workers):
    assert len(workers) == 2
    deadline = time.monotonic() + GUARD
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_end_of_a_parent_ends_a_worker_that_is_busy(tmp_path):
    script = """
        sys.path.insert(0, SUPPORT)
        from faults import Fault
        env = make()
        env.reset(seed=0)
        env.set_attr("advance", Fault("hang"))
        env.send(ACTIONS[:1], 0)
        env.send(ACTIONS[:1], 1)
        print(*[worker.pid for worker in env.pool.workers], flush=True)
        os.fork() and os.kill(os.getpid(), 9)  # a child that holds what it has inherited
        os.closerange(0, 3)
        import time; time.sleep(3)
        os._exit(0)
        """
    support = repr(os.path.dirname(faults.__file__))
    path = tmp_path / "script.py"
    path.write_text(HEAD + textwrap.dedent(script).replace("SUPPORT", support))
    done = subprocess.run(
        [sys.executable, path], stdout=subprocess.PIPE, text=True, timeout=GUARD, check=False
    )
    assert done.returncode == -signal.SIGKILL
    wait_for_the_end([int(pid) for pid in done.stdout.split()])


def test_what_cannot_be_pickled_is_an_error_of_its_own():
    env = make(PAIR)
    env.reset(seed=0)
    batch = actions(env, 1)[0]
    processes = [worker.pid for worker in env.pool.workers]
    env.set_attr("make", faults.make_lock)
    with pytest.raises(EnvironmentFailure, match=r"failed in a call: TypeError: cannot pickle"):
        env.call("make")
    with pytest.raises(ValueError, match="cannot be sent to a worker process"):
        env.set_attr("note", [1, lambda: None])
    with pytest.raises(EnvironmentFailure, match="no attribute 'nothing'"):
        env.get_attr("nothing")
    alone = make(PAIR, num_workers=0)
    alone.reset(seed=0)
    np.testing.assert_array_equal(env.step(batch)[0], alone.step(batch)[0])
    assert [worker.pid for worker in env.pool.workers] == processes
    env.close()
