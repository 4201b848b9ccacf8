"""Videos of episodes, read back as a viewer would."""

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import mmbench
from mmbench.env import TaskEnv
from mmbench.evaluation import video
from mmbench.rendering import RendererUnavailableError
from mmbench.runs import RunError

COMMAND = Path(sys.executable).with_name("mmbench")


def run(*args, cwd):
    return subprocess.run(
        [COMMAND, "video", *args], capture_output=True, text=True, timeout=300, cwd=cwd
    )


def decoded(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta, [np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader]


def test_an_episode_of_the_random_policy_becomes_an_mp4(tmp_path):
    done = run("--task", "pygame-landing", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pygame-landing.mp4" in done.stdout and "score" in done.stdout
    meta, frames = decoded(tmp_path / "pygame-landing.mp4")
    assert meta["fps"] == 30
    assert len(frames) == 201  # the reset's and one a step
    assert frames[0].shape == (480, 448, 3)
    env = gym.make("mmbench/pygame-landing-v0", render_mode="rgb_array")
    env.reset(seed=0)
    large = env.render().repeat(2, axis=0).repeat(2, axis=1).astype(int)
    assert np.abs(frames[0][:448] - large).mean() < 4  # compressed, but the same picture
    caption = frames[0][448:]
    assert caption.max() > 200, "the task's name is in the line below"
    assert (frames[150][448:, 224:].astype(int) - caption[:, 224:]).any(), "the step goes on"


def test_a_gif_loops_and_shows_every_second_frame_as_fast(tmp_path):
    task = mmbench.catalog.get("pygame-landing")
    video.record_episode(task, video.random_policy(task), tmp_path / "a.gif", seed=3)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 101
        assert gif.info["loop"] == 0
        assert abs(gif.info["duration"] - 2000 / 30) < 10


def test_a_gif_keeps_the_colours_of_small_things(tmp_path):
    """The cowboy's hat, and the white of the caption."""
    env = TaskEnv("pygame-cowboy", render_mode="rgb_array")
    env.reset(seed=0)
    frame = video._captioned(env.render(), "pygame-cowboy", "step    0   score 0.00")
    video.write_video(tmp_path / "a.gif", [frame], fps=30)
    with Image.open(tmp_path / "a.gif") as gif:
        shown = np.asarray(gif.convert("RGB"))
    assert np.abs(shown.astype(int) - frame).max() < 32


def test_the_result_is_that_of_the_episode_played(tmp_path):
    task = mmbench.catalog.get("pygame-landing")
    actions = []

    def policy(obs, first):
        assert obs.shape == (128,)
        assert first == (not actions)
        actions.append(np.full(16, 0.1, np.float32))
        return actions[-1]

    episode = video.record_episode(task, policy, tmp_path / "a.mp4", seed=5)
    env = gym.make(task.id)
    env.reset(seed=5)
    total = 0.0
    for action in actions:
        _, reward, _, _, info = env.step(action)
        total += reward
    assert (episode.score, episode.episode_return, episode.length) == (info["score"], total, 200)


def test_without_a_score_the_return_is_told():
    assert video.told_result(0.7312, 5.0) == "score 0.731"
    assert video.told_result(float("nan"), -120.51) == "return -120.5"


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--task", "pygame-lnding"], ["pygame-landing"]),
        (["--task", "pygame-landing", "--out", "a.avi"], ["a.avi", ".mp4 or .gif"]),
        (["--task", "pygame-landing", "--out", "no/such/a.mp4"], ["no/such", "cannot be written"]),
        (["--task", "pygame-landing", "--policy", "nowhere"], ["no checkpoint at nowhere"]),
        (["--task", "pygame-landing", "--seed", "-1"], ["--seed -1", "at least 0"]),
        (["--task", "pygame-landing", "--no-plan"], ["--no-plan", "random policy"]),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(tmp_path, args, parts):
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_an_episode_that_fails_leaves_no_half_video(tmp_path, suffix):
    def policy(obs, first):
        raise KeyboardInterrupt

    task = mmbench.catalog.get("pygame-landing")
    with pytest.raises(KeyboardInterrupt):
        video.record_episode(task, policy, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_task_that_cannot_be_drawn_is_one_message(tmp_path, monkeypatch, suffix):
    def render(env):
        raise RendererUnavailableError("no Vulkan device")

    monkeypatch.setattr(TaskEnv, "render", render)
    task = mmbench.catalog.get("pygame-landing")
    with pytest.raises(video.NoVideoError, match="no video of pygame-landing: no Vulkan device"):
        video.record_episode(task, video.random_policy(task), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_videos_go_into_a_new_folder_or_one_that_takes_them(tmp_path):
    video.check_folder(tmp_path)
    video.check_folder(tmp_path / "new" / "videos")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file is not a folder"):
        video.check_folder(tmp_path / "file" / "videos")


def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    for check, path in (
        (video.check_video, tmp_path / "a.mp4"),
        (video.check_folder, tmp_path),
    ):
        with pytest.raises(RunError, match=r"pip install 'mmbench\[video\]'"):
            check(path)


def test_gymnasiums_own_recorder_works(tmp_path):
    env = gym.make("mmbench/pygame-landing-v0", render_mode="rgb_array")
    env = gym.wrappers.RecordVideo(env, str(tmp_path), disable_logger=True)
    env.reset(seed=0)
    for _ in range(20):
        env.step(env.action_space.sample())
    env.close()
    (path,) = tmp_path.glob("*.mp4")
    meta, frames = decoded(path)
    assert meta["size"] == (224, 224) and len(frames) >= 20
