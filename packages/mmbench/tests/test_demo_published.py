"""Published demonstrations: read without executing anything, or refused with the reason."""

import functools
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_files import TASK, rows, save, save_tensors, tensordict, torch

from mmbench import catalog
from mmbench.demos.dataset import about, read_dataset
from mmbench.demos.published import PublishedError, import_published, published_task, read_published
from mmbench.demos.tape import to_bytes
from mmbench.runs import files

SUCCESS = catalog.get("ms-push-cube")


@pytest.fixture
def file(tmp_path):
    return functools.partial(save, tmp_path)


@pytest.mark.parametrize("feat", [False, True])
def test_a_file_is_read_as_it_was_written(file, feat):
    episodes = read_published(file(feat=feat), TASK)
    expected = {name: tensor.numpy() for name, tensor in rows(feat=feat).items()}
    assert len(episodes) == 2
    for i, episode in enumerate(episodes):
        own = {name: array[51 * i : 51 * (i + 1)] for name, array in expected.items()}
        np.testing.assert_array_equal(episode.observations, own["obs"][:, : TASK.obs_dim])
        np.testing.assert_array_equal(episode.actions, own["action"][1:, : TASK.action_dim])
        np.testing.assert_array_equal(episode.rewards, own["reward"][1:].astype(np.float64))
        assert (episode.terminated, episode.seed) == (False, None)
        assert episode.score == TASK.score(episode.rewards.sum(), np.nan)
        assert np.isnan(episode.success)


def test_success_is_not_guessed(file):
    (episode,) = read_published(file(SUCCESS, episodes=1), SUCCESS)
    assert np.isnan(episode.score) and np.isnan(episode.success)


def test_a_tensordict_of_a_gpu_is_read_on_the_cpu(tmp_path):
    content = tensordict.TensorDict(rows(), batch_size=[102], device="cpu")
    torch.save(content, tmp_path / "cuda.pt")
    with zipfile.ZipFile(tmp_path / "cuda.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert members["cuda/data.pkl"].count(b"cpu") > 1
    members["cuda/data.pkl"] = members["cuda/data.pkl"].replace(
        b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    )
    repack(tmp_path / "reacher.pt", members)
    assert len(read_published(tmp_path / "reacher.pt", TASK)) == 2


def test_the_dataset_says_that_it_was_imported(file, tmp_path):
    pytest.importorskip("minari")
    path, root = file(), tmp_path / "root"
    imported = import_published(path, root)
    assert (imported.task, imported.episodes) == (TASK, 2)
    dataset = read_dataset(TASK, root)
    assert dataset.id == "mmbench/mujoco-reacher/expert-v0"
    assert about(dataset)["imported"] == "mujoco-reacher.pt"
    assert "cannot be simulated again" in dataset.storage.metadata["description"]
    expected = {name: tensor.numpy() for name, tensor in rows().items()}
    for i, episode in enumerate(dataset.iterate_episodes()):
        own = {name: array[51 * i : 51 * (i + 1)] for name, array in expected.items()}
        np.testing.assert_array_equal(episode.observations, own["obs"])
        own["action"][:, TASK.action_dim :] = 0.0  # numbers that meant nothing
        np.testing.assert_array_equal(episode.actions, own["action"][1:])
        np.testing.assert_array_equal(episode.rewards, own["reward"][1:])
        assert episode.truncations[-1] and not episode.terminations.any()


def test_an_import_replaces_nothing_by_accident(file, tmp_path):
    pytest.importorskip("minari")
    from demo_tapes import TASK as COLLECTED
    from demo_tapes import tape

    path, root = file(), tmp_path / "root"
    import_published(path, root)
    with pytest.raises(Exception, match="imported before; --overwrite replaces it"):
        import_published(file(episodes=3), root)
    assert import_published(file(episodes=3), root, overwrite=True).episodes == 3
    assert read_dataset(TASK, root).total_episodes == 3

    (root / "tapes").mkdir()
    (root / "tapes" / f"{COLLECTED.name}.npz").write_bytes(to_bytes(tape(1)))
    with pytest.raises(Exception, match="has a tape of pygame-cartpole-balance"):
        import_published(file(COLLECTED), root)


def test_while_a_dataset_is_replaced_one_that_is_complete_is_there(file, tmp_path, monkeypatch):
    pytest.importorskip("minari")
    root, there = tmp_path / "root", []
    import_published(file(), root)
    for name in ("_swap", "remove"):
        own = getattr(files, name)

        def look(*paths, own=own):
            there.append(read_dataset(TASK, root).total_episodes)
            return own(*paths)

        monkeypatch.setattr(files, name, look)
    import_published(file(episodes=3), root, overwrite=True)
    assert there == [2, 3]


@pytest.mark.parametrize("name", ["walk.pt", "walker-walk.npz", "ms-ant-run-v1.pt", "gym:os.pt"])
def test_a_file_is_named_after_a_task_of_the_benchmark(name, tmp_path):
    with pytest.raises(PublishedError, match=f"{name} is not named after a task"):
        published_task(tmp_path / name)


def numbers(*shape, value=0.0):
    return torch.full(shape, value)


N = 102
NAN = {name: rows()[name].clone() for name in ("obs", "action", "reward")}
for tensor in NAN.values():
    tensor[1] = float("nan")
MIXED = torch.arange(N) % 2
FOREIGN = rows()["obs"].clone()
FOREIGN[7, TASK.obs_dim] = 1.0
REFUSED = {
    "obs has the shape (102, 64), expected (102, 128)": {"obs": numbers(N, 64)},
    "action has the shape (102, 2), expected (102, 16)": {"action": numbers(N, 2)},
    "reward has the shape (102, 1), expected (102,)": {"reward": numbers(N, 1)},
    "episode has the shape (102, 1)": {"episode": numbers(N, 1)},
    "reward is no tensor of real numbers": {"reward": torch.zeros(N, dtype=torch.complex64)},
    "obs does not lie row by row": {"obs": torch.zeros(1, 128).expand(N, 128)},
    "episode 0 has NaN or infinity in obs": {"obs": NAN["obs"]},
    "episode 0 has NaN or infinity in action": {"action": NAN["action"]},
    "episode 0 has NaN or infinity in reward": {"reward": NAN["reward"]},
    "episode 0 has an action beyond [-1, 1]": {"action": numbers(N, 16, value=1.5)},
    "the rows of an episode are not together": {"episode": MIXED},
    "episode 0 has 101 steps, expected 50": {"episode": torch.zeros(N, dtype=torch.int64)},
    "it is of another task": {"obs": FOREIGN},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_tensors_that_are_no_demonstrations_are_refused(reason, file):
    path = file(changes=REFUSED[reason])
    with pytest.raises(PublishedError) as error:
        read_published(path, TASK)
    assert reason in str(error.value) and str(path) in str(error.value)


def test_a_missing_key_is_named(tmp_path):
    content = {name: tensor for name, tensor in rows().items() if name not in ("reward", "obs")}
    path = save_tensors(tmp_path / "mujoco-reacher.pt", content)
    with pytest.raises(PublishedError, match=r"mujoco-reacher\.pt .*it lacks obs, reward"):
        read_published(path, TASK)


class Command:
    """What a hostile file would run."""

    def __init__(self, target):
        self._target = target

    def __reduce__(self):
        return os.mkdir, (str(self._target),)


def repack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("where", ["alone", "in a dict", "in a TensorDict"])
def test_a_hostile_file_runs_nothing(where, tmp_path):
    path, sign = tmp_path / "mujoco-reacher.pt", tmp_path / "executed"
    command = Command(sign)
    if where == "in a TensorDict":
        content = tensordict.TensorDict(rows(), batch_size=[N])
        content.set_non_tensor("command", command)
    else:
        content = command if where == "alone" else {**rows(), "value": command}
    torch.save(content, path)
    with pytest.raises(PublishedError, match=r"it wants \S+, which could run code"):
        read_published(path, TASK)
    assert not sign.exists()
    if where != "in a TensorDict":
        torch.load(path, weights_only=False)
        assert sign.exists()  # so the file is as hostile as it should be


def plain_pickle(path):
    path.write_bytes(pickle.dumps(Command(path.with_name("executed"))))


def bomb(path):
    repack(path, {"archive/data.pkl": bytes(10**7)}, zipfile.ZIP_DEFLATED)


def old_format(path):
    torch.save({"obs": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)


FOREIGN_FILES = {
    "no file of torch.save": plain_pickle,
    "packed": bomb,
    "it is truncated, or no file": old_format,
    "No such file": lambda path: None,
    "Is a directory": lambda path: path.mkdir(),
    "it is damaged": lambda path: repack(path, {"archive/data.pkl": b"\x80\x02."}),
    "it holds a Tensor": lambda path: torch.save(torch.zeros(3), path),
    "expected a number for each row": lambda path: torch.save(dict.fromkeys(rows(), 1), path),
    "it holds a list": lambda path: torch.save([1, 2], path),
}


@pytest.mark.parametrize("reason", FOREIGN_FILES)
def test_a_foreign_file_is_refused(reason, tmp_path):
    path = tmp_path / "mujoco-reacher.pt"
    FOREIGN_FILES[reason](path)
    with pytest.raises(PublishedError, match=reason) as error:
        read_published(path, TASK)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not path.with_name("executed").exists()


@pytest.fixture(scope="module")
def good():
    content = io.BytesIO()
    torch.save(tensordict.TensorDict(rows(), batch_size=[N]), content)
    return content.getvalue()


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(good, tmp_path_factory, share):
    path = tmp_path_factory.mktemp("cut") / "mujoco-reacher.pt"
    path.write_bytes(good[: int(share * len(good))])
    with pytest.raises(PublishedError, match="truncated"):
        read_published(path, TASK)


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_raises_nothing_else(good, tmp_path_factory, place, change):
    content = bytearray(good)
    content[int(place * len(content))] ^= change
    path = tmp_path_factory.mktemp("changed") / "mujoco-reacher.pt"
    path.write_bytes(content)
    try:
        assert len(read_published(path, TASK)) == 2  # it was in what is not read, or in a number
    except PublishedError as error:
        assert str(path) in str(error)
