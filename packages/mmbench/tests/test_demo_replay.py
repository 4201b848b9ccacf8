"""Tapes become datasets: exactly, approximately, or not at all, and never silently wrong."""

import subprocess
import sys
import warnings
from dataclasses import replace

import minari
import numpy as np
import pytest
from demo_tapes import TASK, recording

from mmbench import catalog, demos
from mmbench.demos import dataset as datasets
from mmbench.demos import replay
from mmbench.demos.collect import Plan, collect
from mmbench.demos.experts import load_expert
from mmbench.demos.places import dataset_folder, root_tape
from mmbench.demos.recording import Played, divergence, record
from mmbench.demos.tape import Episode, read_tape, write_tape
from mmbench.domains import unavailable
from mmbench.env import TaskEnv
from mmbench.runs import RunError

FAST = ("pygame-pong", "walker-walk", "bipedal-walker-flat", "mw-reach")
OTHERS = ("lunarlander-hover", "cup-spin", "mujoco-walker", "og-point-maze", "rd-push-green")
OTHERS += ("atari-pong", "ms-reach", "ms-stack-cube", "ms-hopper-hop")


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """A folder with a tape of three episodes."""
    root = tmp_path_factory.mktemp("demos")
    list(collect({TASK: "demo_experts:Balance"}, Plan(root, 3), 0))
    return root


@pytest.fixture
def root(collected, tmp_path):
    """A folder of one's own with that tape."""
    write_tape(root_tape(TASK, tmp_path), read_tape(root_tape(TASK, collected), TASK))
    return tmp_path


def change(root, **fields):
    """Changes what the tape says about its first episode."""
    tape = read_tape(root_tape(TASK, root), TASK)
    first = tape.episodes[0]._replace(**fields)
    write_tape(root_tape(TASK, root), replace(tape, episodes=(first, *tape.episodes[1:])))
    return first


def load(root):
    return demos.load(TASK.name, root, workers=0)


def test_a_dataset_holds_what_the_environment_gives(root):
    dataset = load(root)
    assert dataset.id == f"mmbench/{TASK.name}/expert-v0" and len(dataset) == 3
    env = dataset.recover_environment()
    assert env.spec.id == TASK.id
    for i, episode in enumerate(dataset):
        (about,) = dataset.storage.get_episode_metadata([i])
        obs, _ = env.reset(seed=about["seed"])
        observations, rewards = [obs], []
        for action in episode.actions:
            obs, reward, _, _, info = env.step(action)
            observations.append(obs)
            rewards.append(reward)
        np.testing.assert_array_equal(episode.observations, observations)
        np.testing.assert_array_equal(episode.rewards, rewards)
        assert episode.observations.dtype == episode.actions.dtype == np.float32
        assert episode.actions.shape == (TASK.max_episode_steps, 16)
        assert not episode.terminations.any()
        assert np.flatnonzero(episode.truncations).tolist() == [TASK.max_episode_steps - 1]
        assert (about["score"], about["approximate"]) == (info["score"], False)
        assert np.isnan(about["success"])


def test_the_folder_may_be_relative(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    assert len(load(root.name)) == 3


def test_minari_finds_and_loads_it(root, monkeypatch):
    load(root)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    (name,) = minari.list_local_datasets()
    assert len(minari.load_dataset(name)) == 3


def test_it_says_where_it_comes_from(root):
    about = datasets.about(load(root))
    assert about["licence"] == "MIT" and about["processor"]
    assert about["recordings"][0]["expert"] == "linear controller"
    assert about["versions"].keys() >= {"mmbench", "numpy", "miniarcade"}


def test_a_tape_is_played_once(root, monkeypatch):
    load(root)
    monkeypatch.setattr(replay, "play", None)  # what would play it
    assert len(load(root)) == 3
    assert list(replay.replay([TASK], root, 0)) == []


def test_a_dataset_is_made_anew_of_another_tape_or_when_it_is_damaged(root):
    load(root)
    tape = read_tape(root_tape(TASK, root), TASK)
    fewer = replace(tape, episodes=tape.episodes[:2], recordings=(recording(2),))
    write_tape(root_tape(TASK, root), fewer)
    assert len(load(root)) == 2
    data = dataset_folder(TASK, root) / "data" / "main_data.hdf5"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert len(load(root)) == 2
    assert data.read_bytes() != content


def test_a_folder_that_may_only_be_read_is_read(root, monkeypatch):
    load(root)
    monkeypatch.setattr(replay, "_lock", None)
    assert len(load(root)) == 3 and list(replay.replay([TASK], root, 0)) == []


def test_a_folder_that_cannot_be_written_to_is_named(root):
    (root / "mmbench").write_text("in the way")
    with pytest.raises(RunError, match=f"{root}/mmbench.*choose another root.*MMBENCH_CACHE"):
        load(root)


def test_what_a_killed_process_left_is_removed(root):
    left = dataset_folder(TASK, root) / ".data-0123abcd"
    (left / "deep").mkdir(parents=True)
    load(root)
    assert not left.exists()


def test_the_first_step_that_differs_is_found():
    sums = np.arange(5, dtype=np.uint32)
    other = sums.copy()
    other[3] = 9
    assert divergence(sums, sums) is None
    assert divergence(sums, other) == 3
    assert divergence(sums, sums[:2]) == 2


def test_what_is_within_one_per_cent_is_kept_as_approximate(root):
    episode = read_tape(root_tape(TASK, root), TASK).episodes[0]
    sums = episode.checksums.copy()
    sums[7] += 1
    change(root, checksums=sums, episode_return=episode.episode_return * 1.009)
    with pytest.warns(UserWarning, match="episode 0 diverges at step 7.*kept, as approximate"):
        dataset = load(root)
    labels = [about["approximate"] for about in dataset.storage.get_episode_metadata(range(3))]
    assert labels == [True, False, False]


def test_what_is_farther_off_is_left_out(root):
    episode = read_tape(root_tape(TASK, root), TASK).episodes[0]
    sums = episode.checksums.copy()
    sums[0] += 1
    change(root, checksums=sums, episode_return=episode.episode_return * 1.011)
    with pytest.warns(UserWarning, match="episode 0 starts from another state.*left out"):
        dataset = load(root)
    assert len(dataset) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(root)  # said once


def test_another_final_success_is_left_out():
    sums, actions = np.arange(3, dtype=np.uint32), np.zeros((2, 4), np.float16)
    recorded = Episode(1, actions, sums, 10.0, 1.0, 1.0)
    nothing = np.zeros(0)
    for success, used in ((1.0, True), (0.0, False)):
        played = Played(nothing, actions, nothing, sums + 1, 10.0, 1.0, success, False, True)
        assert replay.compare(recorded, played).used == used


def test_where_nothing_comes_out_as_recorded_there_is_no_dataset(root):
    tape = read_tape(root_tape(TASK, root), TASK)
    episodes = tuple(e._replace(seed=e.seed + 1, episode_return=1.0) for e in tape.episodes)
    write_tape(root_tape(TASK, root), replace(tape, episodes=episodes))
    with pytest.raises(RunError, match="no episode of .*comes out here.*episode 0 starts"):
        load(root)
    assert not (dataset_folder(TASK, root) / "data").exists()


def test_a_task_without_demonstrations_is_named(tmp_path):
    with pytest.raises(demos.NoDemonstrationsError) as error:
        demos.load("walker-walk", tmp_path)
    for words in ("walker-walk", str(tmp_path), "mmbench demos list", "collect"):
        assert words in str(error.value)


def test_a_held_out_task_is_loaded_only_by_who_says_so(tmp_path):
    name = "pygame-reacher-easy"
    with pytest.raises(demos.HeldOutError, match=rf"'{name}' is held out.*held_out=True"):
        demos.load(name, tmp_path)
    with pytest.raises(demos.NoDemonstrationsError):
        demos.load(name, tmp_path, held_out=True)


def test_a_damaged_tape_is_named(root):
    root_tape(TASK, root).write_bytes(b"nothing")
    with pytest.raises(demos.TapeError, match=f"{TASK.name}.npz"):
        load(root)


def test_without_minari_the_extra_is_named(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(RunError, match=r"extra `demos`.*mmbench\[demos\]"):
        load(root)


def test_the_users_own_folder_lies_above_what_is_shipped(root, tmp_path, monkeypatch):
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mmbench.demos.places.SHIPPED", root / "tapes")
    assert len(demos.load(TASK.name, workers=0)) == 3
    assert (tmp_path / "cache" / "demos" / "mmbench" / TASK.name).is_dir()
    with pytest.raises(demos.NoDemonstrationsError):
        demos.load(TASK.name, tmp_path / "elsewhere")


SCRIPT = """
import sys
from mmbench import demos
print(len(demos.load(sys.argv[1], sys.argv[2], workers=1)))
"""


def test_a_plain_script_loads_and_two_do_not_harm_each_other(root):
    scripts = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, TASK.name, root], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [script.communicate(timeout=300)[0] for script in scripts] == ["3\n", "3\n"]
    (folder,) = (root / "mmbench" / TASK.name).iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [".run.lock", "data"]


def record_wildly(name):
    """An episode of random actions, as a tape of its task holds it."""
    task = catalog.get(name)
    own, env = TaskEnv(task, unify=False), TaskEnv(task, unify=False)
    episode = record(load_expert("demo_experts:Wild")(), own, env, 12345, np.random.default_rng(0))
    own.close()
    env.close()
    return task, episode


def assert_replays_elsewhere(names):
    """In another process, after another episode."""
    recorded = {}
    for name in names:
        task, episode = record_wildly(name)
        recorded[task] = [
            episode,
            episode._replace(seed=1, checksums=episode.checksums[:0]),
            episode,
        ]
    for task, (first, _, last) in replay.compare_tapes(recorded, workers=1):
        assert (first.text, last.text) == ("", ""), task.name


def test_simulators_play_a_tape_exactly_in_another_process():
    assert_replays_elsewhere(name for name in FAST if not unavailable(catalog.get(name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_simulator_plays_a_tape_exactly(name):
    if unavailable(catalog.get(name)):
        pytest.skip("not installed")
    assert_replays_elsewhere([name])
