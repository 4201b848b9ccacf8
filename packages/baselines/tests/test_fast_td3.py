"""FastTD3: its maths by hand, what must not matter, that it learns, and TD3 without additions."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from points import IGNORANT, LEFT, RIGHT, TRAINING

from mmbench import catalog
from mmbench.runs import RunError
from mmbench_baselines import fast_td3
from mmbench_baselines.fast_td3 import FastTD3, FastTD3Config, n_step_return
from newt_agent.maths import project
from newt_agent.method import Step
from newt_agent.replay import Replay, Steps

TASKS = catalog.select("pygame-cowboy,walker-walk")
SMALL = FastTD3Config(
    size="XS",
    batch_size=16,
    n_step=3,
    seed_steps=16,
    replay_capacity=400,
    updates_per_step=1.0,
    steps=1000,
)
PLAIN = dict(n_step=1, num_atoms=1, normalise=False, weight_decay=0.0, policy_delay=2)
"""TD3 without what FastTD3 adds."""
LEARNING = FastTD3Config(
    **TRAINING,
    batch_size=128,
    lr=1e-3,
    updates_per_step=4.0,
    seed_steps=800,
    steps=3200,
    replay_capacity=20_000,
    eval_episodes=10,
)
"""Seconds, for the two tasks of tests/support/points.py."""
ATOMS = torch.tensor([-10.0, -1.0, 0.0, 2.0, 30.0], dtype=torch.float64)


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)[None]


def test_projection_by_hand():
    # 1 lies half way from 0 to 2; 9 is a quarter of the way from 2 to 30; -10 is an atom.
    result = project(rows(0.5, 0.4, 0.1), rows(1.0, 9.0, -10.0), ATOMS)
    assert result[0].tolist() == pytest.approx([0.1, 0, 0.25, 0.25 + 0.4 * 0.75, 0.4 * 0.25])
    # Beyond the atoms the outermost ones count.
    assert project(rows(0.5, 0.5), rows(-11.0, 1e9), ATOMS)[0].tolist() == [0.5, 0, 0, 0, 0.5]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-10, 30)), min_size=1, max_size=8).filter(
        lambda pairs: sum(weight for weight, _ in pairs) > 1e-3
    )
)
def test_projection_preserves_mass_and_mean(pairs):
    weight, value = torch.tensor(pairs, dtype=torch.float64).T
    weight = weight / weight.sum()
    result = project(weight[None], value[None], ATOMS)[0]
    assert (result >= 0).all()
    assert result.sum().item() == pytest.approx(1)
    assert (result @ ATOMS).item() == pytest.approx((weight @ value).item(), abs=1e-9)
    assert (result > 0).sum() <= 2 * len(pairs)


def test_atoms_are_newts_bins_in_units_of_the_return():
    atoms = make_method().agent.model.atoms
    assert len(atoms) == 101 and abs(atoms[50]) < 1e-6
    assert atoms[-1].item() == pytest.approx(22_025, rel=1e-4)
    assert torch.log1p(atoms[51:]).diff().tolist() == pytest.approx([0.2] * 49, rel=1e-3)


def test_returns_across_a_time_limit():
    replay = Replay(100, 1, 1, torch.zeros(1, dtype=torch.long), obs_dim=1, action_dim=1)
    action, everywhere = torch.zeros(1, 1), np.ones(1, bool)
    replay.start(torch.tensor([[0.0]]), everywhere)
    for k in range(1, 6):  # rewards 1, 10, 100, ...: then the time is up
        replay.add(torch.tensor([[float(k)]]), action, torch.tensor([10.0 ** (k - 1)]))
    replay.start(torch.tensor([[77.0]]), everywhere)
    replay.add(torch.tensor([[78.0]]), action, torch.tensor([5e6]))
    steps = replay.sample_steps(200, 3, np.random.default_rng(0))
    returns, factor = n_step_return(steps, torch.full((200,), 0.5))
    seen = {
        obs: (value, rest, last)
        for obs, value, rest, last in zip(
            steps.obs[:, 0].tolist(),
            returns.tolist(),
            factor.tolist(),
            steps.last_obs[:, 0].tolist(),
            strict=True,
        )
    }
    assert seen == {
        0.0: (1 + 5 + 25, 0.125, 3),
        1.0: (10 + 50 + 250, 0.125, 4),
        2.0: (100 + 500 + 2500, 0.125, 5),
        # Fewer rewards, so the last state's value counts more.
        3.0: (1000 + 5000, 0.25, 5),
        4.0: (10_000, 0.5, 5),
        77.0: (5e6, 0.5, 78),
    }


def make_method(envs=2, **changes):
    config = dataclasses.replace(SMALL, **changes)
    agent = FastTD3.create_agent(config, TASKS, torch.device("cpu"))
    return FastTD3(config, agent, torch.arange(len(TASKS)).repeat_interleave(envs))


def take(method, steps, start=0, seed=0, spoil=lambda obs, mask: obs, **changes):
    """Takes steps with made-up observations and rewards; returns the actions."""
    rng = np.random.default_rng(seed)
    tasks, mask = method._rows.numpy(), method.agent.model.observation_mask.numpy()
    mask, count = mask[tasks], len(tasks)

    def observe():
        obs = np.where(mask, rng.normal(2, 3, (count, 128)), 0)
        return spoil(obs, mask).astype(np.float32)

    obs, actions = observe(), []
    if start == 0:
        method.begin(obs)
    for t in range(start, start + steps):
        action = method.act(obs, np.full(count, t % 5 == 0), t * count)
        ends = {"truncated": t % 5 == 4, "terminated": False, "valid": True} | changes
        flags = {name: np.full(count, flag) for name, flag in ends.items()}
        later, reset = observe(), observe()
        following = np.where(flags["truncated"][:, None], reset, later)
        reward = rng.normal(size=count)
        method.remember(Step(obs, action, reward, later, reset_obs=following, **flags))
        method.learn((t + 1) * count)
        obs = following
        actions.append(action)
    return np.array(actions)


def different(ours, other):
    """The tensors in which two methods' networks and statistics differ."""
    a, b = (method.agent.model.state_dict() for method in (ours, other))
    return {name for name in a if not torch.equal(a[name], b[name])}


@pytest.mark.parametrize("changes", [{}, PLAIN])
def test_updates_begin_after_the_random_steps(changes):
    method = make_method(**changes)
    take(method, 4)  # of 4 environments
    assert method.updates == 0
    take(method, 6, start=4)
    assert method.updates == 6 and method.broken() == []
    moved = {name.split(".")[0] for name in different(method, make_method(**changes))}
    nets = {"actor", "critics", "target_actor", "target_critics"}
    assert moved == (nets if changes else nets | {"normaliser"})


def test_actor_and_targets_follow_every_second_update():
    method = make_method()
    take(method, 4)
    for updates, moved in ((1, {"critics"}), (2, {"actor", "target_actor", "target_critics"})):
        before = {name: value.clone() for name, value in method.agent.model.state_dict().items()}
        take(method, 1, start=3 + updates, seed=updates)
        after = method.agent.model.state_dict()
        changed = {n.split(".")[0] for n in after if not torch.equal(after[n], before[n])}
        assert method.updates == updates
        assert changed - {"normaliser", "critics"} == moved - {"critics"}


def test_polyak():
    model = make_method().agent.model
    with torch.no_grad():
        for parameter in (*model.actor.parameters(), *model.critics.parameters()):
            parameter.add_(torch.randn(parameter.shape))
    pairs = [(model.target_actor, model.actor), (model.target_critics, model.critics)]
    parameters = [
        pair for t, o in pairs for pair in zip(t.parameters(), o.parameters(), strict=True)
    ]
    expected = [0.9 * target + 0.1 * online for target, online in parameters]
    model.update_targets(0.1)
    for (target, _), value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(target, value)


def some_steps(method, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    model, task = method.agent.model, torch.arange(size) % 2
    with torch.no_grad():  # fresh heads are all 0
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    obs, last = torch.randn(2, size, 128, generator=generator)
    action = torch.rand(size, 16, generator=generator) * 2 - 1
    reward = torch.randn(3, size, generator=generator)
    return Steps(obs, action, reward, torch.full((size,), 3), last, task)


def test_target_of_plain_td3_by_hand():
    method = make_method(**PLAIN, target_noise=0.0)
    steps, model = some_steps(method), method.agent.model
    steps = steps._replace(reward=steps.reward[:1], length=torch.ones(32, dtype=torch.long))
    action = model.act(model.prepare(steps.last_obs, steps.task), steps.task, target=True)
    seen = model.prepare(steps.last_obs, steps.task)
    first, second = model.logits(seen, action, steps.task, target=True)[..., 0]
    discount = torch.tensor([task.discount for task in TASKS])[steps.task]
    expected = steps.reward[0] + discount * torch.minimum(first, second)
    torch.testing.assert_close(method._target(steps)[:, 0], expected)
    assert (first < second).any() and (second < first).any()


def test_target_distribution_has_the_mean_of_the_lower_critic():
    method = make_method(target_noise=0.0)
    steps, model = some_steps(method), method.agent.model
    seen = model.prepare(steps.last_obs, steps.task)
    action = model.act(seen, steps.task, target=True)
    value = model.value(model.logits(seen, action, steps.task, target=True)).double()
    discount = torch.tensor([task.discount for task in TASKS], dtype=torch.float64)[steps.task]
    rewards = steps.reward[0] + discount * steps.reward[1] + discount**2 * steps.reward[2]
    target = method._target(steps)
    assert target.sum(1).tolist() == pytest.approx([1.0] * 32, rel=1e-5)
    mean = target.double() @ model.atoms.double()
    expected = rewards + discount**3 * value.amin(0)
    # Atoms beyond the range count as the outermost ones.
    torch.testing.assert_close(mean, expected, rtol=1e-2, atol=1.0)


@pytest.mark.parametrize("std", [0.2, 5.0])
def test_noise_of_the_targets_actions_is_clipped(monkeypatch, std):
    method = make_method(target_noise=std, target_noise_clip=0.3)
    steps, model = some_steps(method, size=400), method.agent.model
    taken = []
    logits = model.logits
    monkeypatch.setattr(
        model,
        "logits",
        lambda seen, action, *args, **kw: taken.append(action) or logits(seen, action, *args, **kw),
    )
    method._target(steps)
    plain = model.act(model.prepare(steps.last_obs, steps.task), steps.task, target=True)
    noise = (taken[0] - plain)[:, 0]
    inside = plain[:, 0].abs() < 0.7
    assert noise[inside].abs().max().item() == pytest.approx(0.3, abs=1e-5 if std == 5 else 0.02)
    assert taken[0].abs().max() <= 1.0


def test_each_environment_draws_its_noise_anew_each_episode():
    method = make_method(envs=200, replay_capacity=4000, seed_steps=0, noise_min=0.1, noise_max=0.3)
    obs = np.zeros((400, 128), np.float32)
    first = np.ones(400, bool)
    actions = np.array([method.act(obs, first & (t == 0), 0) for t in range(300)])
    own = actions[..., 0].std(0)  # actors start at 0, so this is the noise
    assert own.min() == pytest.approx(0.1, abs=0.02) and own.max() == pytest.approx(0.3, abs=0.04)
    assert own.mean() == pytest.approx(0.2, abs=0.01)
    before = method._noise_std.copy()
    method.act(obs, first & (np.arange(400) < 7), 0)
    assert (method._noise_std[:7] != before[:7]).all()
    assert (method._noise_std[7:] == before[7:]).all()


@pytest.mark.parametrize("changes", [{}, PLAIN])
def test_masked_entries_change_nothing(changes):
    clean, other = make_method(**changes), make_method(**changes)
    actions = take(clean, 12)
    spoilt = take(other, 12, spoil=lambda obs, mask: np.where(mask, obs, np.nan))
    np.testing.assert_array_equal(actions, spoilt)
    assert different(clean, other) == set() and clean.updates > 4 and other.broken() == []
    assert (actions[:, ~clean._action_mask] == 0).all()
    # Nor do masked entries of replayed actions.
    steps, again = some_steps(clean), some_steps(other)
    mask = clean.agent.model.action_mask[steps.task]
    again = again._replace(action=torch.where(mask, again.action, torch.nan))
    for method, batch in ((clean, steps), (other, again)):
        method._update_critics(batch)
        method._update_actor(batch)
    assert different(clean, other) == set()


def test_steps_that_did_not_happen_are_not_remembered():
    method, fresh = make_method(), make_method()
    take(method, 3, valid=False, truncated=True)
    take(fresh, 1)
    assert len(method.replay) == 4 * 4  # the first observations of four episodes each
    assert (method.agent.model.normaliser.count == 0).all()
    assert (fresh.agent.model.normaliser.count == 2).all()


@pytest.mark.parametrize("changes", [{}, PLAIN])
def test_saved_and_restored_continues_the_same(changes):
    whole, part, other = (make_method(**changes) for _ in range(3))
    take(whole, 9)
    take(part, 9)
    other.agent.model.load_state_dict(part.agent.model.state_dict())
    other.updates = part.updates
    state = {name: tensor.clone() for name, tensor in part.state().items()}
    begin, end = part.replay.held  # the rows are saved by themselves
    other.replay.put_rows(begin, end, part.replay.rows(begin, end))
    assert other.restore(state, step=36) == ""
    actions, again = (take(method, 8, start=9, seed=2) for method in (whole, other))
    np.testing.assert_array_equal(actions, again)
    assert different(whole, other) == set() and whole.updates == other.updates == 13


def test_noise_range_the_wrong_way_round():
    config = dataclasses.replace(SMALL, noise_min=0.5)
    with pytest.raises(RunError, match="noise_min=0.5: at most noise_max=0.4"):
        FastTD3.check(config, TASKS, "cpu")


def scores(make_trainer, points, **changes):
    config = dataclasses.replace(LEARNING, tasks=points, **changes)
    tasks = make_trainer(FastTD3, config).run()["after"]["tasks"]
    return [tasks[task.name]["score"] for task in (RIGHT, LEFT)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="fast"),
        pytest.param(PLAIN | {"tau": 0.02}, id="plain", marks=pytest.mark.slow),
    ],
)
def test_learns_what_the_instruction_says(make_trainer, points, changes):
    assert min(scores(make_trainer, points, **changes)) > 0.92


@pytest.mark.slow  # it tells what the test before can fail of
def test_learns_nothing_from_the_returns_of_others(make_trainer, points, monkeypatch):
    """The core line is the critics' target, return + factor * value: here with others' returns."""

    def others(steps, discount):
        returns, factor = n_step_return(steps, discount)
        return returns.roll(1), factor

    monkeypatch.setattr(fast_td3, "n_step_return", others)
    assert sum(scores(make_trainer, points)) / 2 < IGNORANT
