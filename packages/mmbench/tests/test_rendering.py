"""Frames of MuJoCo scenes: backends, threads, forks, and other users of OpenGL."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

from mmbench import rendering
from mmbench.drawing_thread import DrawingThread
from mmbench.env import TaskEnv

BOTH = pytest.mark.parametrize("backend", ["egl", "osmesa"])
NAME = "mujoco-inverted-pendulum"  # which draws fastest

_PRELUDE = """
import os, sys, threading, time
import numpy as np
from mmbench.env import TaskEnv
from mmbench.rendering import RendererUnavailableError

def start():
    env = TaskEnv("mujoco-inverted-pendulum", render_mode="rgb_array")
    env.reset(seed=0)
    return env

def in_fork(function):
    "The exit status of a forked process that calls the function and ends."
    child = os.fork()
    if child == 0:
        function()
        sys.exit(0)  # as a program ends: what is registered for the exit runs
    end = time.monotonic() + 20
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "it hung"
"""


def run(code, backend=None, **variables):
    """Runs a program that must end well and say nothing."""
    environment = {k: v for k, v in os.environ.items() if k != "MUJOCO_GL"}
    if backend is not None:
        environment["MUJOCO_GL"] = backend
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PRELUDE + code],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("backend", [None, "osmesa", "egl"])
def test_frames_come_from_the_backend_that_is_there(needs_backend, backend):
    needs_backend(backend)
    # Where it is set, MuJoCo's own import sets another variable.
    unchanged = "" if backend else "assert dict(os.environ) == before"
    run(
        "before = dict(os.environ)\n"
        "env = start()\n"
        "assert env.render().std() > 5\n"
        "env.close()\n"
        "env.close()\n" + unchanged,
        backend,
    )


@BOTH
def test_a_program_may_end_with_all_of_it_open(needs_backend, backend):
    needs_backend(backend)
    run(
        """
import atexit
def too_late():
    try:
        env.render()
    except RuntimeError as error:
        assert "ending" in str(error)
    else:
        os._exit(1)
atexit.register(too_late)
env = start()
env.render()
later = TaskEnv("reacher-easy", render_mode="rgb_array")  # loads dm_control, which ends EGL too
later.reset(seed=0)
later.render()
def draw():  # and nothing else: a daemon must not step, as MuJoCo's functions die with Python
    while True:
        env._simulator._renderer.render(env._simulator._picture)
threading.Thread(target=draw, daemon=True).start()
time.sleep(0.1)
""",
        backend,
    )


@BOTH
def test_any_thread_draws(needs_backend, backend):
    needs_backend(backend)
    run(
        """
env, other = start(), start()
frames = []
def draw(env, count):
    frames.extend(env.render() for _ in range(count))
def in_threads(*threads):
    for thread in threads: thread.start()
    for thread in threads: thread.join()
in_threads(threading.Thread(target=draw, args=(env, 1)))  # the first of all
draw(env, 1)
draw(other, 1)
in_threads(*(threading.Thread(target=draw, args=(one, 10)) for one in (env, other, start())))
draw(env, 1)
assert len(frames) == 34 and frames[0].std() > 5
assert all(np.array_equal(frame, frames[0]) for frame in frames)
""",
        backend,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@BOTH
def test_a_fork_harms_nobody(needs_backend, backend):
    needs_backend(backend)
    run(
        """
env = start()
assert in_fork(lambda: env.render()) == 0  # nothing was drawn yet
frame = env.render()
def refuse():
    for one in (env, start()):
        try:
            one.render()
        except RendererUnavailableError as error:
            assert "forked" in str(error) and "spawn" in str(error)
            one.step(np.zeros(16, np.float32))
            one.close()
        else:
            os._exit(1)
assert in_fork(refuse) == 0
assert in_fork(lambda: None) == 0
assert np.array_equal(env.render(), frame)
""",
        backend,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_gymnasium_s_forked_environments_draw(needs_backend):
    needs_backend(None)
    run(
        """
from gymnasium.vector import AsyncVectorEnv
make = lambda: TaskEnv("mujoco-inverted-pendulum", obs="rgb")
envs = AsyncVectorEnv([make] * 2, context="fork")
frames, _ = envs.reset(seed=0)
assert frames[0].std() > 5 and frames[1].std() > 5
envs.close()
"""
    )


@BOTH
def test_a_program_s_own_window_is_left_alone(screen, needs_backend, backend):
    needs_backend(backend)
    run(
        """
import pygame
env = start()
pygame.display.init()
window = pygame.display.set_mode((224, 224))
for _ in range(3):
    frame = env.render()
    window.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
    pygame.event.pump()
    pygame.display.flip()
assert frame.std() > 5
pygame.display.quit()
assert np.array_equal(env.render(), frame)
""",
        backend,
        PYGAME_HIDE_SUPPORT_PROMPT="1",
    )


def test_a_renderer_that_nobody_closes_is_freed(needs_backend):
    needs_backend(None)

    def held():
        return rendering._thread.run(lambda canvas: set(canvas._scenes))

    before = held()
    env, dropped = (TaskEnv(NAME, render_mode="rgb_array") for _ in range(2))
    for one in (env, dropped):
        one.reset(seed=0)
        frame = one.render()
    assert len(held() - before) == 2
    del one, dropped
    gc.collect()
    assert len(held() - before) == 1
    env._simulator.close()
    env._simulator.close()
    assert held() == before
    np.testing.assert_array_equal(env.render(), frame)
    env.close()


def test_missing_renderer_is_one_error(monkeypatch):
    rendering._context_class.cache_clear()
    monkeypatch.setattr(rendering, "backend", lambda: None)
    monkeypatch.setattr(rendering, "_thread", DrawingThread(rendering._Canvas))
    env = TaskEnv(NAME, render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(2):
        with pytest.raises(rendering.RendererUnavailableError, match="libegl1.*libosmesa6"):
            env.render()
    rendering._context_class.cache_clear()


def test_a_library_that_cannot_draw_is_one_sentence(monkeypatch):
    def broken(width, height):
        raise ImportError("Cannot initialize\na device display")

    monkeypatch.setattr(rendering, "_context_class", lambda: broken)
    monkeypatch.setattr(rendering, "_thread", DrawingThread(rendering._Canvas))
    env = TaskEnv(NAME, render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.raises(rendering.RendererUnavailableError, match=r"initialize a device.*doctor"):
        env.render()


class TestDrawingThread:
    """On its own, with a list in the place of an OpenGL context."""

    def test_all_runs_in_one_other_thread(self):
        import threading

        thread = DrawingThread(list)
        seen = []

        def ask():
            seen.append(thread.run(lambda held: threading.current_thread().name))

        asking = [threading.Thread(target=ask) for _ in range(8)]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
        assert set(seen) == {"mmbench-drawing"}
        thread.run(lambda held: held.append(1))
        assert thread.run(len) == 1

    def test_errors_are_the_caller_s(self):
        thread = DrawingThread(list)
        with pytest.raises(ZeroDivisionError):
            thread.run(lambda held: 1 / 0)
        assert thread.run(len) == 0

    def test_an_interruption_waits_for_what_is_being_drawn(self, monkeypatch):
        """It reads the simulation, which the program may go on with."""
        from mmbench import drawing_thread

        events = []

        class Interrupted(drawing_thread._Job):
            def __init__(self, function):
                super().__init__(function)
                self.done = Lock(self.done)

        class Lock:
            def __init__(self, lock):
                self.lock, self.release, self.asked = lock, lock.release, False

            def acquire(self):
                if not self.asked:
                    self.asked = True
                    raise KeyboardInterrupt
                self.lock.acquire()

        thread = DrawingThread(list)
        with monkeypatch.context() as patch:
            patch.setattr(drawing_thread, "_Job", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                thread.run(lambda held: events.append("drawn"))
        assert events == ["drawn"]
        assert thread.run(lambda held: "next") == "next"

    def test_nothing_is_made_only_to_be_freed(self):
        made = []
        thread = DrawingThread(lambda: made.append(1))
        thread.run_later(lambda held: None)
        assert not made
