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


def make(lengths: list[int], capacity: int, weighting="task") -> Replay:
    rows = torch.arange(len(lengths)) + 10
    return Replay(capacity, len(lengths), HORIZON, rows, weighting=weighting)


def load(replay: Replay, other: Replay) -> None:
    """Brings one replay to what the other one holds."""
    replay.put_rows(*other.held, other.rows(*other.held))
    replay.load_state_dict(other.state_dict())


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(6, 40), min_size=1, max_size=4),
    steps=st.integers(5, 150),
    rows=st.integers(8, 90),
    seed=st.integers(0, 100),
    weighting=st.sampled_from(["task", "transition", "episode"]),
)
def test_windows_are_consecutive_rows_of_one_episode(lengths, steps, rows, seed, weighting):
    replay = make(lengths, rows * len(lengths), weighting)
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


def windows_held(lengths, rows_per_env, steps, weighting):
    """A filled replay, and by environment and episode the first rows of all windows it holds."""
    replay = make(lengths, rows_per_env * len(lengths), weighting)
    held: dict[tuple[int, int], list[int]] = {}
    for env, own in enumerate(fill(replay, lengths, steps)):
        own = own[-rows_per_env:]
        for start, end in zip(own, own[HORIZON:], strict=False):
            if start[0] == end[0]:
                held.setdefault((env, start[0]), []).append(start[1])
    return replay, held


def how_often(replay, samples=40_000):
    """The part of the windows that each one is of."""
    batch = replay.sample(samples, np.random.default_rng(0))
    first, counts = batch.obs[0, :, :3].int().unique(dim=0, return_counts=True)
    return {tuple(row): n / samples for row, n in zip(first.tolist(), counts.tolist(), strict=True)}


@pytest.mark.parametrize("steps", [41, 200])  # the ring buffers have wrapped around, or not
@pytest.mark.parametrize("weighting", ["task", "transition", "episode"])
def test_windows_are_sampled_as_the_weighting_says(weighting, steps):
    replay, held = windows_held([7, 20, 5], 50, steps, weighting)
    expected = {}
    for (env, episode), starts in held.items():
        own = [len(w) for (other, _), w in held.items() if other == env]
        each = {
            "task": 1 / 3 / sum(own),
            "transition": 1 / sum(len(w) for w in held.values()),
            "episode": 1 / len(held) / len(starts),
        }[weighting]
        expected |= dict.fromkeys(((env, episode, start) for start in starts), each)
    found = how_often(replay)
    assert found.keys() == expected.keys()
    assert max(abs(found[key] - expected[key]) for key in expected) < 0.004


@pytest.mark.parametrize("weighting", ["transition", "episode"])
def test_a_loaded_replay_goes_on_the_same(weighting):
    replay, _ = windows_held([7, 20], 30, 100, weighting)
    other = make([7, 20], 60, weighting)
    load(other, replay)
    for one in (replay, other):
        one.start(torch.full((2, 128), 5.0), np.array([True, False]))
        for _ in range(40):
            one.add(torch.full((2, 128), 6.0), torch.zeros(2, 16), torch.zeros(2))
    a, b = (one.sample(500, np.random.default_rng(1)) for one in (replay, other))
    assert torch.equal(a.obs, b.obs) and torch.equal(a.task, b.task)


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
    load(other, replay)
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
        load(make([10], 50), replay)
    with pytest.raises(ValueError, match="are not those that were saved"):
        make([10, 10], 100).load_state_dict({**replay.state_dict(), "rows_written": torch.ones(2)})


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
