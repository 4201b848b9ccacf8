"""The human render mode of every domain, with and without a screen."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from human_windows import assert_shown

from mmbench import rendering
from mmbench.catalog import get
from mmbench.domains import unavailable
from mmbench.env import TaskEnv

MUJOCO = ["walker-walk", "spinner-spin", "mw-push", "mujoco-ant", "rd-push-green", "og-ant-maze"]
OTHERS = ["lunarlander-land", "pygame-pong", "atari-pong"]
ARCADE = "pygame-landing"


@pytest.mark.parametrize("backend", ["egl", pytest.param("osmesa", marks=pytest.mark.slow)])
def test_a_window_shows_what_opengl_drew(needs_backend, backend):
    needs_backend(backend)
    assert_shown(MUJOCO, MUJOCO_GL=backend)


def test_a_window_shows_what_needs_no_opengl():
    assert_shown(OTHERS)


@pytest.mark.filterwarnings("ignore:.*A Box observation space:UserWarning")
@pytest.mark.parametrize("name", [ARCADE, "cartpole-swingup"])
def test_gymnasium_s_checker_opens_its_windows(screen, name):
    if rendering.backend() is None and name != ARCADE:
        pytest.skip("this machine has neither EGL nor OSMesa")
    env = gym.make(f"mmbench/{name}-v0", disable_env_checker=True)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.filterwarnings("ignore:.*A Box observation space:UserWarning")
@pytest.mark.parametrize("name", [ARCADE, "cartpole-swingup"])
def test_no_display_is_one_error_that_harms_nothing(monkeypatch, name):
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


def test_drawing_after_the_end_is_one_error():
    from gymnasium.error import ClosedEnvironmentError

    for name in (ARCADE, "lunarlander-land", "walker-walk", "atari-pong"):
        if unavailable(get(name)) is None:
            env = TaskEnv(name, render_mode="rgb_array")
            env.reset(seed=0)
            env.close()
            with pytest.raises(ClosedEnvironmentError, match=name):
                env.render()
