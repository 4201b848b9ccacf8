"""The human render mode of every domain, with and without a screen."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mmbench import rendering
from mmbench.catalog import get
from mmbench.domains import unavailable
from mmbench.env import TaskEnv

SUPPORT = Path(__file__).parents[3] / "tests" / "support"
MUJOCO = ["walker-walk", "spinner-spin", "mw-push", "mujoco-ant", "rd-push-green", "og-ant-maze"]
OTHERS = ["lunarlander-land", "pygame-pong", "atari-pong"]
MANISKILL = "ms-push-cube"

ARCADE = "pygame-landing"


def shown(names, **variables):
    """The result for each task, in a process of its own, as its OpenGL backend is for good."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb (apt-get install xvfb)")
    names = [name for name in names if unavailable(get(name)) is None]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SDL_", "DISPLAY"))}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", SUPPORT / "human_windows.py", "", *names],
        env={**environment, **variables, "PYTHONPATH": str(SUPPORT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.stdout, result.stderr
    return {name: "shown" for name in names}, json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_a_window_shows_what_opengl_drew(needs_backend, backend):
    needs_backend(backend)
    expected, seen = shown(MUJOCO, MUJOCO_GL=backend)
    assert seen == expected


def test_a_window_shows_what_needs_no_opengl():
    expected, seen = shown(OTHERS)
    assert seen == expected


@pytest.mark.skipif(importlib.util.find_spec("mani_skill") is None, reason="no ManiSkill")
def test_a_window_shows_what_vulkan_drew():
    from mmbench.domains import maniskill_package

    try:
        maniskill_package.render_device()
    except (ImportError, rendering.RendererUnavailableError) as error:
        pytest.skip(str(error))
    expected, seen = shown([MANISKILL])
    assert seen == expected


@pytest.mark.filterwarnings("ignore:.*A Box observation space:UserWarning")
def test_gymnasium_s_checker_opens_its_windows(screen):
    import gymnasium as gym

    env = gym.make("mmbench/pygame-landing-v0", disable_env_checker=True)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.filterwarnings("ignore:.*A Box observation space:UserWarning")
@pytest.mark.parametrize("name", [ARCADE, "cartpole-swingup"])
def test_no_display_is_one_error_that_harms_nothing(monkeypatch, name):
    import gymnasium as gym

    if rendering.backend() is None and name != ARCADE:
        pytest.skip("this machine has neither EGL nor OSMesa")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(variable, raising=False)
    plain = TaskEnv(name, render_mode="rgb_array")
    plain.reset(seed=0)
    frame = plain.render()
    env = TaskEnv(name, render_mode="human")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no window can be opened.*rgb_array.*xvfb-run"):
            env.reset(seed=0)
        env.close()
    checked = gym.make(f"mmbench/{name}-v0", disable_env_checker=True)
    with pytest.raises(RuntimeError, match="no window can be opened"):
        check_env(checked.unwrapped)
    np.testing.assert_array_equal(plain.render(), frame)


def test_two_windows_and_one_that_the_user_closes(screen, monkeypatch):
    first = TaskEnv(ARCADE, render_mode="human")
    first.reset(seed=0)
    process = first._window._process
    screen.close_windows()
    process.wait(timeout=20)
    monkeypatch.setenv("SDL_VIDEO_WINDOW_POS", "700,0")
    second = TaskEnv(ARCADE, render_mode="human")
    second.reset(seed=1)
    with pytest.warns(UserWarning, match="closed: nothing more is shown"):
        first.step(np.zeros(16, np.float32))
    first.step(np.zeros(16, np.float32))
    frame = second._simulator.render().repeat(3, axis=0).repeat(3, axis=1)
    assert screen.shows(np.zeros_like(frame))
    assert screen.shows(frame, left=700)
    first.close()
    second.step(np.zeros(16, np.float32))
    assert screen.shows(second._simulator.render().repeat(3, axis=0).repeat(3, axis=1), left=700)
    second.close()
    second.close()


def test_drawing_before_the_first_reset_is_one_error():
    from gymnasium.error import ResetNeeded

    for name in (ARCADE, "lunarlander-land", "walker-walk", "atari-pong"):
        if unavailable(get(name)) is None:
            with pytest.raises(ResetNeeded, match=f"{name}.*render"):
                TaskEnv(name, render_mode="human").render()
