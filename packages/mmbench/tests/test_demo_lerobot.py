"""LeRobot datasets: the files and values that its format asks for; and, slow, by the package."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from demo_tapes import TASK

from mmbench import catalog, demos
from mmbench.demos.clock import steps_per_second
from mmbench.demos.collect import Plan, collect
from mmbench.demos.dataset import Demonstration, read_dataset, write_dataset
from mmbench.demos.lerobot import export, statistics
from mmbench.demos.lerobot_video import image_statistics
from mmbench.env import TaskEnv
from mmbench.runs import RunError

pq = pytest.importorskip("pyarrow.parquet")

IMAGE = "observation.image"
STEPS = 20  # of the episodes that are exported


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two short episodes of random actions."""
    episodes, env = [], TaskEnv(TASK, unify=False)
    rng = np.random.default_rng(0)
    for seed in (3, 7):
        actions = rng.uniform(-1, 1, (STEPS, TASK.action_dim)).astype(np.float16)
        obs = [env.reset(seed=seed)[0]]
        rewards = []
        for action in actions:
            observation, reward, *_ = env.step(action)
            obs.append(observation)
            rewards.append(reward)
        episodes.append(
            Demonstration(np.array(obs), actions, np.array(rewards), False, 0.5, np.nan, seed)
        )
    root = tmp_path_factory.mktemp("demos")
    write_dataset(TASK, episodes, root, "random", {})
    return read_dataset(TASK, root)


@pytest.fixture(scope="module")
def exported(dataset, tmp_path_factory):
    return export(TASK, dataset, tmp_path_factory.mktemp("lerobot"), 30.0, video=True)


def info(exported):
    return json.loads((exported.folder / "meta/info.json").read_text())


def table(exported, part):
    return pq.read_table(exported.folder / part / "chunk-000/file-000.parquet")


def test_every_step_is_a_row(dataset, exported):
    assert exported[1:] == (2, 40)
    rows = table(exported, "data")
    assert set(rows.column_names) == set(info(exported)["features"]) - {IMAGE}
    start = 0
    for i, episode in enumerate(dataset.iterate_episodes()):
        part = rows.slice(start, 20).to_pydict()
        steps = np.arange(20)
        np.testing.assert_array_equal(
            np.float32(part["observation.state"]), episode.observations[:-1, : TASK.obs_dim]
        )
        np.testing.assert_array_equal(np.float32(part["action"]), episode.actions[:, 0])
        np.testing.assert_array_equal(part["next.reward"], episode.rewards.astype(np.float32))
        assert part["next.done"] == [False] * 19 + [True]
        np.testing.assert_array_equal(part["timestamp"], np.float32(steps / 30))
        np.testing.assert_array_equal(part["frame_index"], steps)
        np.testing.assert_array_equal(part["index"], start + steps)
        assert (set(part["episode_index"]), set(part["task_index"])) == ({i}, {0})
        start += 20


def test_the_sizes_are_the_tasks_own_and_have_names(exported):
    about = info(exported)
    assert about["codebase_version"] == "v3.0"
    assert (about["total_episodes"], about["total_frames"], about["fps"]) == (2, 40, 30)
    features = about["features"]
    assert features["observation.state"]["names"] == [f"obs_{i}" for i in range(TASK.obs_dim)]
    assert features["action"] == {"dtype": "float32", "shape": [1], "names": ["action_0"]}
    assert features[IMAGE]["shape"] == [224, 224, 3]
    schema = table(exported, "data").schema
    assert str(schema.field("observation.state").type).startswith("fixed_size_list<")
    assert schema.field("action").type == "float"  # LeRobot stores vectors of one entry so


def test_episodes_say_where_they_are_and_what_they_do(exported):
    rows = table(exported, "meta/episodes").to_pylist()
    for i, row in enumerate(rows):
        assert row["tasks"] == [TASK.instruction]
        assert row["length"] == 20
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (20 * i, 20 * (i + 1))
        assert row[f"videos/{IMAGE}/file_index"] == i
        assert row[f"videos/{IMAGE}/from_timestamp"] == 0.0
        assert row[f"videos/{IMAGE}/to_timestamp"] == pytest.approx(20 / 30)
        assert row["stats/index/min"] == [20 * i] and row["stats/index/count"] == [20]
    (task,) = pq.read_table(exported.folder / "meta/tasks.parquet").to_pylist()
    assert task == {"task_index": 0, "__index_level_0__": TASK.instruction}


def test_statistics_are_those_of_all_steps(exported):
    stats = json.loads((exported.folder / "meta/stats.json").read_text())
    assert set(stats) == set(info(exported)["features"])
    states = np.array(table(exported, "data")["observation.state"].to_pylist())
    for name, expected in {
        "mean": states.mean(0),
        "std": states.std(0),
        "q90": np.quantile(states, 0.9, axis=0),
        "max": states.max(0),
    }.items():
        np.testing.assert_allclose(stats["observation.state"][name], expected)
    assert np.shape(stats[IMAGE]["mean"]) == (3, 1, 1) and stats[IMAGE]["count"] == [40]
    videos = sorted((exported.folder / f"videos/{IMAGE}").rglob("*.mp4"))
    frames = np.concatenate([frames_of(path)[1] for path in videos])
    means = frames.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(np.ravel(stats[IMAGE]["mean"]), means, atol=0.01)  # H.264 loses some
    assert statistics(np.array([[True], [False]]))["min"] == [False]


def test_statistics_of_frames():
    frames = np.random.default_rng(0).integers(3, 250, (4, 224, 224, 3))
    channels = frames.reshape(-1, 3).T
    histogram = np.array([np.bincount(channel, minlength=256) for channel in channels])
    stats = image_statistics(histogram, {"q10": 0.1})
    values = channels / 255.0
    for name, expected in {
        "min": values.min(1),
        "max": values.max(1),
        "mean": values.mean(1),
        "std": values.std(1),
        "q10": np.quantile(values, 0.1, axis=1, method="inverted_cdf"),
    }.items():
        np.testing.assert_allclose(np.ravel(stats[name]), expected)
    assert stats["count"] == [4]


def frames_of(path, size=(224, 224)):
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    frames = [np.frombuffer(frame, np.uint8).reshape(*size, 3) for frame in reader]
    return about, np.array(frames)


def test_a_frame_is_what_its_action_was_chosen_at(dataset, exported):
    env = TaskEnv(TASK, unify=False, render_mode="rgb_array")
    for i, (seed, episode) in enumerate(zip((3, 7), dataset.iterate_episodes(), strict=True)):
        about, frames = frames_of(exported.folder / f"videos/{IMAGE}/chunk-000/file-{i:03d}.mp4")
        assert (about["fps"], about["codec"], len(frames)) == (30, "h264", 20)
        env.reset(seed=seed)
        for frame, action in zip(frames, episode.actions, strict=True):
            error = np.abs(frame.astype(int) - env.render())
            assert error.mean() < 2.0  # of 255: what H.264 loses
            env.step(action[: TASK.action_dim])
    env.close()


def test_what_is_there_is_not_overwritten_and_failures_leave_nothing(dataset, exported, tmp_path):
    with pytest.raises(RunError, match=r"pygame-cartpole-balance exists already"):
        export(TASK, dataset, exported.folder.parent, 30.0)
    other = catalog.get("pygame-cartpole-balance-sparse")
    changed = read_changed(tmp_path / "demos")
    with pytest.raises(RunError, match="episode 0 .* observation 5 is another one"):
        export(other, changed, tmp_path / "out", 30.0, video=True)
    assert list((tmp_path / "out").iterdir()) == []


def read_changed(root, seed=3):
    """A dataset whose observations are not those of its task's simulator."""
    env = TaskEnv("pygame-cartpole-balance-sparse", unify=False)
    obs = [env.reset(seed=3)[0]]
    obs += [env.step(np.zeros(1, np.float32))[0] for _ in range(10)]
    obs[5] = obs[5] + 1.0
    env.close()
    episode = Demonstration(
        np.array(obs), np.zeros((10, 1)), np.zeros(10), False, 0.5, np.nan, seed
    )
    write_dataset(env.task, [episode], root, "nobody", {})
    return read_dataset(env.task, root)


def test_imported_demonstrations_have_no_frames(tmp_path):
    other = catalog.get("pygame-cartpole-balance-sparse")
    imported = read_changed(tmp_path / "demos", seed=None)
    with pytest.raises(RunError, match="imported without seeds.*leave out --video"):
        export(other, imported, tmp_path / "out", 30.0, video=True)
    assert export(other, imported, tmp_path / "out", 30.0).frames == 10


@pytest.mark.parametrize(
    "task,rate",
    [
        ("mujoco-walker", 62.5),
        ("mujoco-ant", 10.0),
        ("ms-ant-walk", 20.0),
        ("bipedal-walker-flat", 25.0),
        ("pygame-pong", 30.0),
    ],
)
def test_steps_per_second_follow_the_simulators_clock(task, rate):
    from mmbench.domains import unavailable

    if reason := unavailable(catalog.get(task)):
        pytest.skip(reason)
    assert steps_per_second(catalog.get(task)) == rate


READ_ALL = Path(__file__).parents[3] / "tests/support/read_lerobot.py"


@pytest.mark.slow
@pytest.mark.skipif("LEROBOT_PYTHON" not in os.environ, reason="no Python with lerobot is named")
@pytest.mark.parametrize("task", ["pygame-cartpole-balance", "mw-reach", "og-point-maze"])
def test_lerobot_reads_every_step_back(task, tmp_path):
    """``LEROBOT_PYTHON`` names a Python that has lerobot 0.4.4, which needs torch below 2.11."""
    task = catalog.get(task)
    collect_some(task, tmp_path / "demos")
    dataset = demos.load(task, tmp_path / "demos")
    exported = export(
        task, dataset, tmp_path / "lerobot", steps_per_second(task), video=True, workers=2
    )
    expected = tmp_path / "expected.npz"
    episodes = list(dataset.iterate_episodes())
    np.savez(
        expected,
        state=np.concatenate([e.observations[:-1, : task.obs_dim] for e in episodes]),
        action=np.concatenate([e.actions[:, : task.action_dim] for e in episodes]),
        reward=np.concatenate([e.rewards for e in episodes]).astype(np.float32),
        length=[len(e.rewards) for e in episodes],
        frames=np.concatenate(list(drawn(task, dataset))),
    )
    result = subprocess.run(
        [os.environ["LEROBOT_PYTHON"], READ_ALL, exported.folder, expected, task.instruction],
        capture_output=True,
        text=True,
    )
    print(result.stdout)
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"{exported.frames} steps of 2 episodes" in result.stdout


def collect_some(task, root):
    experts = {task: "demo_experts:Balance" if task == TASK else None}
    if experts[task] is None:
        from mmbench.demos.experts import find_expert

        experts[task] = find_expert(task.versioned_name)
    (outcome,) = collect(experts, Plan(root, 2), 2)
    assert outcome.good, outcome.text


def drawn(task, dataset):
    env = TaskEnv(task, unify=False, render_mode="rgb_array")
    metadata = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
    for episode, about in zip(dataset.iterate_episodes(), metadata, strict=True):
        env.reset(seed=int(about["seed"]))
        frames = []
        for action in episode.actions[:, : task.action_dim]:
            frames.append(env.render())
            env.step(action)
        yield np.array(frames)
    env.close()
