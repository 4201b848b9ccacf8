"""What is wrong with demonstrations is found: in tapes, in datasets, and against the simulators."""

import json
import re
import shutil
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from demo_tapes import TASK, recording

from mmbench import catalog, demos
from mmbench.demos.collect import Plan, collect
from mmbench.demos.places import dataset_folder, root_tape
from mmbench.demos.tape import read_tape, write_tape
from mmbench.demos.verify import verify, with_demonstrations
from mmbench.runs.files import publish_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a tape of three episodes and its dataset."""
    root = tmp_path_factory.mktemp("demos")
    list(collect({TASK: "demo_experts:Balance"}, Plan(root, 3), 0))
    demos.load(TASK.name, root, workers=0)
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy of one's own."""
    return shutil.copytree(made, tmp_path / "demos")


def verdict(root, **options):
    (found,) = verify([TASK], root, **{"sample": 3, "workers": 0, **options})
    return found


def only_problem(root, **options):
    (problem,) = verdict(root, **options).problems
    return problem


def tape(root):
    return read_tape(root_tape(TASK, root), TASK)


def rewrite(root, change):
    """Changes the arrays of the dataset, and its manifest with them."""
    data = dataset_folder(TASK, root) / "data"

    def fill(folder):
        for name in ("main_data.hdf5", "metadata.json"):
            (folder / name).write_bytes((data / name).read_bytes())
        with h5py.File(folder / "main_data.hdf5", "a") as file:
            change(file)

    publish_folder(data, fill)


def test_good_demonstrations_have_no_problem(root):
    found = verdict(root)
    assert (found.episodes, found.replayed, found.exact) == (3, 3, 3)
    assert found.problems == found.notes == []
    assert with_demonstrations(root) == (TASK,)


def test_a_sample_is_played_and_none_where_none_is_asked_for(root):
    assert verdict(root, sample=2).replayed == 2
    assert verdict(root, sample=0).replayed == 0


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_corrupted_byte_of_a_tape_is_found(root, part):
    path = root_tape(TASK, root)
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 1
    path.write_bytes(content)
    assert f"{TASK.name}.npz is no tape" in only_problem(root)


def test_a_truncated_tape_is_found(root):
    path = root_tape(TASK, root)
    path.write_bytes(path.read_bytes()[:-100])
    assert "truncated" in only_problem(root)


def test_the_tape_of_another_task_is_found(root):
    other = catalog.get("pygame-cartpole-swingup")
    root_tape(other, root).write_bytes(root_tape(TASK, root).read_bytes())
    (found,) = verify([other], root, 1, 0)
    assert f"it is of '{TASK.name}'" in found.problems[0]


def test_changed_actions_of_a_tape_are_found_by_playing_it(root):
    good = tape(root)
    first = good.episodes[0]
    actions = first.actions.copy()
    actions[100] = 0.0
    episodes = (first._replace(actions=actions), *good.episodes[1:])
    write_tape(root_tape(TASK, root), replace(good, episodes=episodes))
    problem = only_problem(root)
    assert "episode 0 diverges at step 101" in problem and "with the same versions" in problem


def test_a_tape_of_other_versions_may_be_approximate(root):
    good = tape(root)
    sums = good.episodes[1].checksums.copy()
    sums[9] += 1
    (made_by,) = good.recordings
    changed = replace(
        good,
        episodes=(good.episodes[0], good.episodes[1]._replace(checksums=sums)),
        recordings=(replace(made_by, episodes=2, versions={**made_by.versions, "numpy": "1.0"}),),
    )
    write_tape(root_tape(TASK, root), changed)
    found = verdict(root)
    assert found.problems == [] and (found.replayed, found.exact) == (2, 1)
    assert any("diverges at step 9" in n and "numpy 1.0, here" in n for n in found.notes)
    assert any("of another tape" in n for n in found.notes)


def test_missed_bars_are_found(root):
    good = tape(root)
    low = good.episodes[2]._replace(episode_return=1.0)
    write_tape(root_tape(TASK, root), replace(good, episodes=(*good.episodes[:2], low)))
    assert "episode 2 returns 1, not above" in verdict(root, sample=0).problems[0]


def test_one_seed_twice_is_found(root):
    good = tape(root)
    twice = replace(good, episodes=(good.episodes[0],) * 2, recordings=(recording(2),))
    write_tape(root_tape(TASK, root), twice)
    assert "two episodes have one seed" in verdict(root, sample=0).problems


def test_a_task_that_cannot_run_here_is_not_played_and_that_is_said(root, monkeypatch):
    monkeypatch.setattr("mmbench.demos.verify.unavailable", lambda task: "no simulator")
    found = verdict(root)
    assert found.replayed == 0 and found.notes == ["not played again: no simulator"]


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_corrupted_byte_of_a_dataset_is_found(root, part):
    path = dataset_folder(TASK, root) / "data" / "main_data.hdf5"
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 1
    path.write_bytes(content)
    assert "main_data.hdf5 is damaged" in only_problem(root)


def cut(name, rows):
    def change(file):
        values = file["episode_1"][name][()]
        del file["episode_1"][name]
        file["episode_1"][name] = values[:rows]

    return change


def remove_last(file):
    del file["episode_2"]


def swap(file):
    file.move("episode_0", "other")
    file.move("episode_1", "episode_0")
    del file["episode_0"].attrs["seed"]
    file.move("other", "episode_1")


def set_value(name, step, value):
    def change(file):
        file["episode_1"][name][step] = value

    return change


CHANGES = {
    "a missing episode": (remove_last, "episode 2 of its dataset is missing"),
    "a step of observations too few": (cut("observations", -1), r"observations of the shape \(500"),
    "all of one shape, and short": (cut("rewards", 100), "observations of the shape"),
    "an action too few": (cut("actions", 499), r"actions of the shape \(499, 16\)"),
    "another observation": (set_value("observations", 7, 1.0), "observation or reward at step 7"),
    "another reward": (set_value("rewards", 7, 0.5), "observation or reward at step 8"),
    "another action": (set_value("actions", 7, 0.5), "other actions than the tape"),
    "NaN": (set_value("observations", 7, np.nan), "observations that are not finite"),
    "an episode of nobody": (swap, "the seed None, which no episode"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_wrong_content_of_a_dataset_is_found(root, what):
    change, reason = CHANGES[what]
    rewrite(root, change)
    assert re.search(reason, verdict(root).problems[0])


def test_a_dataset_that_lacks_an_episode_of_its_tape_is_found(root):
    metadata = dataset_folder(TASK, root) / "data" / "metadata.json"
    content = json.loads(metadata.read_text())
    content["total_episodes"] = 2
    metadata.write_text(json.dumps(content))
    rewrite(root, remove_last)
    assert only_problem(root) == "its dataset lacks 1 episodes of the tape"


def test_the_dataset_of_another_task_is_found(root):
    other = catalog.get("pygame-cartpole-swingup")
    dataset_folder(other, root).mkdir(parents=True)
    (dataset_folder(TASK, root) / "data").rename(dataset_folder(other, root) / "data")
    (found,) = verify([other], root, 1, 0)
    assert f"holds 'mmbench/{TASK.name}/expert-v0'" in found.problems[0]


def test_a_task_without_any_is_named(root):
    (found,) = verify([catalog.get("pygame-pong")], root, 1, 0)
    assert "there are no demonstrations in" in found.problems[0]


def test_without_the_extra_tapes_are_verified_all_the_same(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    found = verdict(root)
    assert found.exact == 3 and found.problems == []
    assert "its dataset is left aside" in found.notes[0]
