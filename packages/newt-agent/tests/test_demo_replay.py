"""The replay of demonstrations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from newt_agent.demo_replay import DemoReplay, join
from newt_agent.demonstrations import Demonstration

HORIZON = 3
ROWS = [20, 10, 30]  # of the model's table


def marked(task, number, steps):
    """An episode whose rows are marked (task, episode, step)."""
    obs = np.zeros((steps + 1, 128), np.float32)
    obs[:, :3] = [(task, number, step) for step in range(steps + 1)]
    action = np.repeat(obs[1:, 2:3], 16, 1)
    return Demonstration(task, obs, action, obs[1:, 2].astype(np.float64), False)


def episodes_of(layout):
    return [marked(task, number, steps) for number, (task, steps) in enumerate(layout)]


LAYOUTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), min_size=1, max_size=5).filter(
    lambda layout: any(steps >= HORIZON for _, steps in layout)
)


@settings(max_examples=50, deadline=None)
@given(layout=LAYOUTS, weighting=st.sampled_from(["task", "transition", "episode"]))
def test_windows_are_consecutive_rows_of_one_episode_and_none_is_left_out(layout, weighting):
    replay = DemoReplay(episodes_of(layout), ROWS, HORIZON, weighting=weighting)
    batch = replay.sample(3000, np.random.default_rng(0))
    task, number, step = batch.obs[..., 0], batch.obs[..., 1], batch.obs[..., 2]
    assert (number == number[0]).all()
    assert (step == step[0] + torch.arange(HORIZON + 1)[:, None]).all()
    assert (batch.reward == step[1:]).all()
    assert (batch.action == step[1:, :, None]).all()
    assert batch.task.tolist() == [ROWS[int(own)] for own in task[0]]
    seen = set(zip(number[0].tolist(), step[0].tolist(), strict=True))
    assert seen == {
        (float(number), float(start))
        for number, (_, steps) in enumerate(layout)
        for start in range(steps - HORIZON + 1)
    }


def test_windows_are_sampled_as_the_weighting_says():
    layout = [(0, 12), (2, 3), (0, 5), (2, 4)]
    windows = [steps - HORIZON + 1 for _, steps in layout]
    own = {
        task: sum(n for n, (t, _) in zip(windows, layout, strict=True) if t == task)
        for task, _ in layout
    }
    expected = {
        "task": [n / own[task] / 2 for n, (task, _) in zip(windows, layout, strict=True)],
        "transition": [n / sum(windows) for n in windows],
        "episode": [1 / 4] * 4,
    }
    for weighting, parts in expected.items():
        replay = DemoReplay(episodes_of(layout), ROWS, HORIZON, weighting=weighting)
        batch = replay.sample(40_000, np.random.default_rng(0))
        counts = torch.bincount(batch.obs[0, :, 1].long(), minlength=4) / 40_000
        assert counts.tolist() == pytest.approx(parts, abs=0.01)


def test_other_demonstrations_have_another_checksum():
    one = DemoReplay(episodes_of([(0, 5), (1, 6)]), ROWS, HORIZON)
    assert one.checksum == DemoReplay(episodes_of([(0, 5), (1, 6)]), ROWS, HORIZON).checksum
    assert one.checksum != DemoReplay(episodes_of([(0, 5), (1, 7)]), ROWS, HORIZON).checksum
    assert one.checksum != DemoReplay(episodes_of([(0, 5), (2, 6)]), ROWS, HORIZON).checksum


def test_too_short_demonstrations_are_told():
    with pytest.raises(ValueError, match="no demonstration has 3 steps"):
        DemoReplay(episodes_of([(0, 2)]), ROWS, HORIZON)


def test_joined_batches_lie_beside_each_other():
    replay = DemoReplay(episodes_of([(0, 9)]), ROWS, HORIZON)
    a, b = (replay.sample(n, np.random.default_rng(n)) for n in (2, 3))
    both = join([a, b])
    assert torch.equal(both.obs[:, 2:], b.obs) and torch.equal(both.action[:, :2], a.action)
    assert both.reward.shape == (HORIZON, 5) and both.task.tolist() == [20] * 5
