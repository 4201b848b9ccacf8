"""The loader of demonstrations, on ones that an expert plays here."""

import numpy as np
import pytest

from mmbench import catalog
from mmbench.demos.collect import Plan, collect
from mmbench.demos.experts import find_expert
from mmbench.runs import RunError
from newt_agent.demonstrations import load_demonstrations, require

TASK = "pygame-cowboy"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with two demonstrations of one task."""
    folder = tmp_path_factory.mktemp("demos")
    task = catalog.get(TASK)
    (outcome,) = collect({task: find_expert(TASK)}, Plan(folder, episodes=2), workers=0)
    assert outcome.good, outcome.text
    return folder


def test_episodes_are_whole_and_padded(root):
    found = load_demonstrations(["walker-walk", TASK], str(root))
    task = catalog.get(TASK)
    assert [episode.task for episode in found.episodes] == [1, 1]
    for episode in found.episodes:
        assert episode.obs.shape == (task.max_episode_steps + 1, 128)
        assert episode.obs.dtype == np.float32
        assert episode.action.shape == (task.max_episode_steps, 16)
        assert np.abs(episode.action).max() <= 1 and episode.reward.shape == (500,)
        assert not episode.obs[:, task.obs_dim :].any()
        assert not episode.action[:, task.action_dim :].any()
        assert not episode.terminated
    assert found.summary == (
        "demonstrations of 1 of 2 tasks: 2 episodes, 1,000 steps; none of walker-walk"
    )


def test_the_first_ones_are_chosen(root):
    both = load_demonstrations([TASK], str(root), 5).episodes
    (first,) = load_demonstrations([TASK], str(root), 1).episodes
    assert len(both) == 2
    np.testing.assert_array_equal(first.obs, both[0].obs)


def test_what_is_not_there_is_one_sentence(root, tmp_path):
    with pytest.raises(RunError, match="no such folder"):
        load_demonstrations([TASK], str(tmp_path / "elsewhere"))
    nothing = load_demonstrations(["walker-walk"], str(root))
    assert nothing.episodes == ()
    with pytest.raises(RunError, match=r"none of walker-walk.*mmbench demos list"):
        require(nothing, str(root))
    assert load_demonstrations([TASK], "none").episodes == ()
