import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from newt_agent.replay import NoWindowError, Replay

HORIZON = 3


def fill(replay: Replay, lengths: list[int], steps: int) -> list[list[tuple[int, int]]]:
    """Runs environments with episodes of fixed lengths; rows are marked (episode, step)."""
    count = len(lengths)
    episode, step = np.zeros(count, int), np.zeros(count, int)
    rows: list[list[tuple[int, int]]] = [[(0, 0)] for _ in range(count)]

    def observation():
        obs = torch.zeros(count, 128)
        obs[:, 0] = torch.arange(count)
        obs[:, 1] = torch.from_numpy(episode)
        obs[:, 2] = torch.from_numpy(step)
        return obs

    replay.start(observation(), np.ones(count, bool))
    for _ in range(steps):
        step += 1
        action = torch.full((count, 16), 0.5) * torch.from_numpy(step)[:, None]
        replay.add(observation(), action, torch.from_numpy(step).float())
        for i in range(count):
            rows[i].append((int(episode[i]), int(step[i])))
        ended = step == np.array(lengths)
        if ended.any():
            episode[ended] += 1
            step[ended] = 0
            replay.start(observation(), ended)
            for i in np.flatnonzero(ended):
                rows[i].append((int(episode[i]), 0))
    return rows


def make(lengths: list[int], capacity: int) -> Replay:
    return Replay(capacity, len(lengths), HORIZON, torch.arange(len(lengths)) + 10)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(6, 40), min_size=1, max_size=4),
    steps=st.integers(5, 150),
    rows=st.integers(8, 90),
    seed=st.integers(0, 100),
)
def test_windows_are_consecutive_rows_of_one_episode(lengths, steps, rows, seed):
    replay = make(lengths, rows * len(lengths))
    fill(replay, lengths, steps)
    batch = replay.sample(64, np.random.default_rng(seed))
    env, episode, step = batch.obs[..., 0], batch.obs[..., 1], batch.obs[..., 2]
    assert (env == env[0]).all()
    assert (batch.task == env[0] + 10).all()
    assert (episode == episode[0]).all()
    assert (step == step[0] + torch.arange(HORIZON + 1)[:, None]).all()
    # What led to row k + 1 is at position k.
    assert (batch.reward == step[1:]).all()
    assert (batch.action == 0.5 * step[1:, :, None]).all()


def test_every_window_is_kept_and_equally_likely():
    lengths = [7, 20]
    replay = make(lengths, 1000)
    rows = fill(replay, lengths, 41)
    seen: dict[tuple[int, int, int], int] = {}
    batch = replay.sample(60_000, np.random.default_rng(0))
    for values in batch.obs[0, :, :3].int().tolist():
        seen[tuple(values)] = seen.get(tuple(values), 0) + 1
    expected = {
        (env, *start)
        for env, own in enumerate(rows)
        for start, end in zip(own, own[HORIZON:], strict=False)
        if start[0] == end[0]
    }
    assert set(seen) == expected
    for env in (0, 1):
        counts = np.array([n for key, n in seen.items() if key[0] == env])
        assert counts.sum() == pytest.approx(30_000, rel=0.05)  # environments count the same
        assert counts.min() > 0.8 * counts.mean()
        assert counts.max() < 1.2 * counts.mean()


def test_ring_forgets_the_oldest_rows_only():
    replay = make([100], 50)
    fill(replay, [100], 90)
    batch = replay.sample(5000, np.random.default_rng(0))
    assert batch.obs[..., 2].min() == 41
    assert batch.obs[..., 2].max() == 90
    assert len(replay) == 50


def test_saved_and_loaded_samples_the_same():
    lengths = [7, 20]
    replay, other = make(lengths, 60), make(lengths, 60)
    fill(replay, lengths, 100)
    other.load_state_dict(replay.state_dict())
    for a, b in zip(
        replay.sample(32, np.random.default_rng(3)),
        other.sample(32, np.random.default_rng(3)),
        strict=True,
    ):
        assert (a is None and b is None) or torch.equal(a, b)


def test_too_small_or_too_empty_says_so():
    with pytest.raises(ValueError, match="capacity=14"):
        make([10, 10], 14)
    replay = make([10], 100)
    replay.start(torch.zeros(1, 128), np.array([True]))
    with pytest.raises(NoWindowError, match="environment 0 has taken no 3 steps in a row"):
        replay.sample(4, np.random.default_rng(0))
    fill(replay, [HORIZON - 1], 60)
    with pytest.raises(NoWindowError, match="environment 0 has taken no 3 steps in a row"):
        replay.sample(4, np.random.default_rng(0))


def test_load_refuses_another_shape():
    replay = make([10, 10], 100)
    with pytest.raises(ValueError, match="2 environments"):
        make([10], 50).load_state_dict(replay.state_dict())


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    steps=st.integers(5, 60),
    rows=st.integers(4, 40),
    n=st.integers(1, 9),
    seed=st.integers(0, 100),
)
def test_sampled_steps_go_on_to_the_end_of_their_episode(lengths, steps, rows, n, seed):
    replay = Replay(rows * len(lengths), len(lengths), 1, torch.arange(len(lengths)) + 10)
    fill(replay, lengths, steps)
    batch = replay.sample_steps(64, n, np.random.default_rng(seed))
    env, episode, step = (batch.obs[:, i].long() for i in range(3))
    assert (batch.task == env + 10).all()
    limit = torch.tensor(lengths)[env]
    # The running episode goes to its newest step.
    end = torch.where(episode == steps // limit, steps % limit, limit)
    assert (batch.length == (end - step).clamp(max=n)).all() and (batch.length >= 1).all()
    assert (batch.last_obs[:, 0] == env).all() and (batch.last_obs[:, 1] == episode).all()
    assert (batch.last_obs[:, 2] == step + batch.length).all()
    assert (batch.action == 0.5 * (step + 1)[:, None]).all()
    rewards = step + 1 + torch.arange(n)[:, None]
    assert (batch.reward == torch.where(rewards <= step + batch.length, rewards, 0)).all()


def test_every_step_is_sampled_those_at_the_end_of_an_episode_too():
    replay = Replay(100, 1, 1, torch.zeros(1, dtype=torch.long))
    rows = fill(replay, [7], 20)[0]
    batch = replay.sample_steps(1000, 5, np.random.default_rng(0))
    starts = {(int(row[1]), int(row[2]) + 1) for row in batch.obs}
    assert starts == {row for row in rows if row[1] > 0}
