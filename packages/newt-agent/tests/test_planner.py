"""The planner against worlds whose best return is known, and its documented behaviour."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from mmbench.runs import RunError
from newt_agent.planner import Planner, PlannerConfig
from newt_agent.world_model import ModelConfig, WorldModel

ACTION_DIM = 16
LATENT = 6
DISCOUNT = 0.95


class QuadraticWorld:
    """Linear dynamics and a quadratic cost, with the exact value function as its Q.

    ``z' = A z + B a`` and reward ``-cost * (z'z + a'a / 2)``, minus a price on whatever the
    masked entries hold. The value of a state under the best actions is ``-z'Pz``, with P from
    the Riccati equation. The policy acts at random and does not read its state.
    """

    num_q = 3
    policy_std = 1.0
    terminates = False

    def __init__(self, used, cost):
        g = torch.Generator().manual_seed(0)
        self.used, self.cost = used, cost
        self.A = A = torch.linalg.qr(torch.randn(LATENT, LATENT, generator=g))[0]
        self.B = B = 0.6 * torch.randn(LATENT, used, generator=g)
        self.action_mask = (torch.arange(ACTION_DIM) < used)[None]
        P = torch.eye(LATENT)
        for _ in range(500):
            K = torch.linalg.solve(
                0.5 * torch.eye(used) + DISCOUNT * B.T @ P @ B, DISCOUNT * B.T @ P @ A
            )
            P = torch.eye(LATENT) + DISCOUNT * A.T @ P @ (A - B @ K)
        self.P = P

    def context(self, envs):
        """One task in every environment."""
        return SimpleNamespace(action_mask=self.action_mask.expand(envs, 1, -1))

    def next(self, z, action, context):
        return z @ self.A.T + action[..., : self.used] @ self.B.T

    def reward(self, z, action, context):
        cost = z.square().sum(-1) + 0.5 * action[..., : self.used].square().sum(-1)
        return -self.cost * (cost + action[..., self.used :].abs().sum(-1))

    def value(self, z):
        return -self.cost * ((z @ self.P) * z).sum(-1)

    def value_of_doing_nothing(self, z):
        total = 0.0
        for t in range(400):
            total += DISCOUNT**t * self.reward(z, torch.zeros(ACTION_DIM), None)
            z = z @ self.A.T
        return total

    def Q(self, z, action, context, *, heads=None):
        assert len(set(heads.tolist())) == 2 and max(heads.tolist()) < self.num_q
        error = self.cost * z[..., 0]  # the heads disagree, but on average they are right
        return torch.stack([self.value(z) - error, self.value(z) + error])

    def sample_action(self, z, context, noise):
        return torch.where(context.action_mask, (self.policy_std * noise).tanh(), 0.0), {}

    def decode(self, logits):
        return logits


def draws(planner, envs, seed):
    return planner.noise(envs).draw(torch.Generator().manual_seed(seed))


def closed_loop(world, z, steps=12):
    """Returns ``[E]`` of episodes that the planner plays for `steps`, and then the best play."""
    planner = Planner(world, PlannerConfig())
    g = torch.Generator().manual_seed(0)
    memory, total = planner.initial(len(z)), 0.0
    for t in range(steps):
        action, memory = planner.plan(
            z[:, None],
            world.context(len(z)),
            memory,
            torch.full((len(z),), t == 0),
            torch.full((len(z),), DISCOUNT),
            explore=False,
            noise=planner.noise(len(z)).draw(g),
        )
        total += DISCOUNT**t * world.reward(z, action, None)
        z = world.next(z, action, None)
    return total + DISCOUNT**steps * world.value(z)


# The steep world tells the elites apart by many units of value, and the best actions are small
# against the width of the elites: averaging them, or drawing one, without their weights
# reaches at most 0.88 there.
@pytest.mark.parametrize(
    "used, cost, distance", [(1, 4000.0, 0.1), (2, 1.0, 0.8)], ids=["steep", "gentle"]
)
def test_reaches_95_percent_of_the_analytic_return(used, cost, distance):
    world = QuadraticWorld(used, cost)
    # Ten independent episodes, planned for at once.
    starts = torch.randn(10, LATENT, generator=torch.Generator().manual_seed(42))
    starts = distance * starts / starts.norm(dim=1, keepdim=True)
    best, nothing = world.value(starts), world.value_of_doing_nothing(starts)
    fraction = (closed_loop(world, starts) - nothing) / (best - nothing)
    assert fraction.mean() >= 0.95, fraction
    assert ((fraction >= 0.9) & (fraction <= 1 + 1e-3)).all(), fraction


class RecordingWorld(QuadraticWorld):
    """Keeps the candidates it is asked about: one list a rollout of 3 steps."""

    def __init__(self, used, cost):
        super().__init__(used, cost)
        self.rollouts = []

    def reward(self, z, action, context):
        if not self.rollouts or len(self.rollouts[-1]) == 3:
            self.rollouts.append([])
        self.rollouts[-1].append(action)
        return super().reward(z, action, context)


def recorded_plan(config, envs=2, explore=False, prior_weight=0.0, prev_mean=None, policy_std=1.0):
    world = RecordingWorld(used=2, cost=1.0)
    world.policy_std = policy_std
    planner = Planner(world, config)
    world.z0 = 0.7 * torch.randn(envs, LATENT, generator=torch.Generator().manual_seed(1))
    first = torch.full((envs,), prev_mean is None)
    action, mean = planner.plan(
        world.z0[:, None],
        world.context(envs),
        planner.initial(envs) if prev_mean is None else prev_mean,
        first,
        torch.full((envs,), DISCOUNT),
        explore,
        draws(planner, envs, 0),
        prior_weight,
    )
    rollouts = [torch.stack(actions) for actions in world.rollouts]  # [H, E, N, A]
    return world, rollouts, action, mean


def values_by_hand(world, candidates):
    """Value of ``[H, E, N, A]`` sequences from the world's start, ``[E, N]``."""
    z = world.z0[:, None].expand(-1, candidates.shape[2], -1)
    total = 0.0
    for t, action in enumerate(candidates):
        total = total + DISCOUNT**t * QuadraticWorld.reward(world, z, action, None)
        z = world.next(z, action, None)
    return total + DISCOUNT ** len(candidates) * world.value(z)


def moments_by_hand(world, config, candidates):
    """Elites, their weights and weighted moments ``[E, H, A]``, one environment at a time."""
    means, stds, elites = [], [], []
    for env, values in enumerate(values_by_hand(world, candidates)):
        order = values.argsort(descending=True)[: config.num_elites]
        best = candidates[:, env, order]  # [H, K, A]
        weights = torch.exp(config.temperature * (values[order] - values[order[0]]))
        weights = weights / weights.sum()
        mean = torch.einsum("k,hka->ha", weights, best)
        variance = torch.einsum("k,hka->ha", weights, (best - mean[:, None]) ** 2)
        means.append(mean)
        stds.append(variance.sqrt().clamp(config.min_std, config.max_std))
        elites.append(best)
    return torch.stack(means), torch.stack(stds), elites


def test_fit_is_the_weighted_mean_of_the_elites():
    config = PlannerConfig(iterations=1)
    world, (policy, sampled), action, mean = recorded_plan(config)
    assert policy.shape == (3, 2, 24, ACTION_DIM)
    assert sampled.shape == (3, 2, 512 - 24, ACTION_DIM)
    candidates = torch.cat([policy, sampled], dim=2)
    expected, _, elites = moments_by_hand(world, config, candidates)
    torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-5)
    for env in range(2):  # the action is the first of an elite, not the mean
        assert (elites[env][0] == action[env]).all(-1).any()


def test_second_iteration_samples_the_fitted_gaussian():
    # Little noise around a previous mean of 0, so that hardly a sample is clipped.
    config = PlannerConfig(iterations=2, num_samples=4000, max_std=0.3)
    world, (policy, one, two), _, mean = recorded_plan(config)
    fitted, std, _ = moments_by_hand(world, config, torch.cat([policy, one], dim=2))
    fitted, std = fitted.transpose(0, 1)[..., :2], std.transpose(0, 1)[..., :2]
    inside = fitted.abs() + 2.5 * std < 1
    assert inside.sum() >= 8
    used = two[..., :2]
    error = (used.mean(2) - fitted).abs() / std * used.shape[2] ** 0.5
    assert (error[inside] < 5).all()
    assert ((used.std(2) / std - 1).abs()[inside] < 0.06).all()
    # The policy's sequences compete again, though they are imagined once.
    final, _, _ = moments_by_hand(world, config, torch.cat([policy, two], dim=2))
    torch.testing.assert_close(mean, final, rtol=1e-4, atol=1e-5)


def test_elite_is_drawn_in_proportion_to_its_weight():
    sequences = torch.zeros(3, 3, ACTION_DIM)  # [H, candidates, A]
    sequences[0, :, 0] = torch.tensor([0.0, 0.9, -0.9])

    class Replaying(RecordingWorld):
        def sample_action(self, z, context, noise):
            t = min(len(self.rollouts[-1]) % 3 if self.rollouts else 0, 2)
            return sequences[t].expand(*z.shape[:-2], -1, -1)[..., : z.shape[-2], :], {}

    envs = 4000
    world = Replaying(used=2, cost=1.0)
    world.z0 = torch.full((1, LATENT), 0.4)
    config = PlannerConfig(num_samples=3, num_elites=2, num_pi_trajs=3, temperature=0.8)
    values, order = values_by_hand(world, sequences[:, None])[0].sort(descending=True)
    best = torch.exp(0.8 * values[0]) / torch.exp(0.8 * values[:2]).sum()
    assert 0.55 < best < 0.95  # neither uniform nor certain
    planner = Planner(world, config)
    action, _ = planner.plan(
        world.z0.expand(envs, 1, -1),
        world.context(envs),
        planner.initial(envs),
        torch.ones(envs, dtype=torch.bool),
        torch.full((envs,), DISCOUNT),
        False,
        draws(planner, envs, 0),
    )
    drawn = [(action == sequences[0, i]).all(-1).float().mean().item() for i in order]
    assert abs(drawn[0] - best) < 5 * (best * (1 - best) / envs) ** 0.5
    assert drawn[2] == 0 and drawn[0] + drawn[1] == pytest.approx(1)


def first_samples(max_std=0.1, num_pi_trajs=24, **kwargs):
    """The policy's sequences, and mean and std of the first samples, of the used entries."""
    config = PlannerConfig(
        iterations=1, num_samples=4000, max_std=max_std, num_pi_trajs=num_pi_trajs
    )
    _, (policy, sampled), _, _ = recorded_plan(config, **kwargs)
    return policy[..., :2], sampled[..., :2].mean(2), sampled[..., :2].std(2)


def test_warm_start_shifts_the_previous_mean():
    prev = torch.zeros(2, 3, ACTION_DIM)
    prev[0, :, 0] = torch.tensor([0.6, -0.3, 0.4])
    _, mean, std = first_samples(prev_mean=prev)
    expected = torch.tensor([-0.3, 0.4, 0.0])
    torch.testing.assert_close(mean[:, 0, 0], expected, atol=0.01, rtol=0)
    torch.testing.assert_close(mean[:, 1, 0], torch.zeros(3), atol=0.01, rtol=0)
    torch.testing.assert_close(std, torch.full_like(std, 0.1), atol=0.01, rtol=0)


@pytest.mark.parametrize("garbage", [0.7, float("nan")])
def test_first_forgets_the_previous_mean(garbage):
    world = QuadraticWorld(2, 1.0)
    planner = Planner(world, PlannerConfig(num_samples=64, num_elites=8, num_pi_trajs=4))
    z = torch.full((2, LATENT), 0.3)

    def plan(prev, first):
        return planner.plan(
            z[:, None],
            world.context(2),
            prev,
            torch.tensor(first),
            torch.full((2,), DISCOUNT),
            True,
            draws(planner, 2, 3),
        )

    fresh = plan(planner.initial(2), [False, False])
    stale = planner.initial(2)
    stale[1] = garbage
    for a, b in zip(plan(stale, [False, True]), fresh, strict=True):
        assert torch.equal(a, b)
    if garbage == garbage:
        assert not torch.equal(plan(stale, [True, False])[1][1], fresh[1][1])


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_prior_weight_blends_in_the_policy(weight):
    prev = torch.zeros(2, 3, ACTION_DIM)
    prev[:, 1:, :2] = 0.3
    policy, mean, std = first_samples(
        prev_mean=prev, prior_weight=weight, max_std=0.25, policy_std=0.1
    )
    base = torch.tensor([0.3, 0.3, 0.0])[:, None, None]
    expected_mean = weight * policy.mean(2) + (1 - weight) * base
    expected_std = weight * policy.std(2) + (1 - weight) * 0.25
    torch.testing.assert_close(mean, expected_mean, atol=0.02, rtol=0)
    torch.testing.assert_close(std, expected_std, atol=0.015, rtol=0)


def test_std_of_the_policy_s_sequences_is_the_unbiased_one():
    # Of two numbers it is their distance / sqrt(2); the biased one is their distance / 2.
    policy, _, std = first_samples(prior_weight=1.0, max_std=0.3, policy_std=0.1, num_pi_trajs=2)
    distance = (policy[:, :, 0] - policy[:, :, 1]).abs()
    expected = (distance / 2**0.5).clamp(0.05, 0.3)
    assert ((expected > 0.08) & (expected < 0.3)).any()
    torch.testing.assert_close(std, expected, atol=0, rtol=0.06)


def test_single_sequence_of_the_policy_has_the_least_std():
    policy, mean, std = first_samples(prior_weight=1.0, policy_std=0.1, num_pi_trajs=1)
    torch.testing.assert_close(mean, policy.mean(2), atol=0.005, rtol=0)
    torch.testing.assert_close(std, torch.full_like(std, 0.05), atol=0, rtol=0.06)


def test_std_of_the_policy_s_sequences_is_clamped():
    for policy_std, expected in ((1e-3, 0.05), (1.0, 0.15)):
        _, _, std = first_samples(prior_weight=1.0, max_std=0.15, policy_std=policy_std)
        used = std[std > 0]
        assert len(used) and used.max() < expected * 1.1
        assert policy_std > 0.5 or used.min() > expected * 0.9


def test_prior_weight_may_be_a_tensor():
    config = PlannerConfig(num_samples=64, num_elites=8, iterations=2)
    a = recorded_plan(config, prior_weight=0.5)[2:]
    b = recorded_plan(config, prior_weight=torch.tensor(0.5))[2:]
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def test_explore_adds_noise_of_the_fitted_std():
    config = PlannerConfig(iterations=1, num_samples=256, max_std=0.2)
    world, (policy, sampled), _, _ = recorded_plan(config, envs=100, explore=True)
    action = recorded_plan(config, envs=100, explore=True)[2]
    quiet = recorded_plan(config, envs=100, explore=False)[2]
    _, std, _ = moments_by_hand(world, config, torch.cat([policy, sampled], dim=2))
    noise = ((action - quiet) / std[:, 0])[:, :2]
    free = (action[:, :2].abs() < 1) & (quiet[:, :2].abs() + 3 * std[:, 0, :2] < 1)
    assert free.sum() > 100
    assert abs(noise[free].mean()) < 0.3
    assert 0.8 < noise[free].std() < 1.2
    assert (action.abs() <= 1).all()
    assert (action[:, 2:] == 0).all() and (quiet[:, 2:] == 0).all()


def tiny_model(num_tasks=3):
    g = torch.Generator().manual_seed(0)
    mask = torch.arange(5) < torch.tensor([[5], [2], [3]])
    config = ModelConfig(16, 16, 16, 2, 3, num_bins=11, obs_dim=7, action_dim=5)
    model = WorldModel(config, torch.randn(num_tasks, 4, generator=g), mask, generator=g)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=g))
    return model


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"num_pi_trajs": 0},
        {"num_pi_trajs": 32},
        {"horizon": 1, "iterations": 1},
        {"num_elites": 1},
    ],
    ids=str,
)
def test_plans_with_a_world_model(change):
    model = tiny_model()
    planner = Planner(
        model, replace(PlannerConfig(num_samples=32, num_elites=8, num_pi_trajs=4), **change)
    )
    task = torch.tensor([0, 1, 2, 1])
    context = model.context(task[:, None])
    z = model.encode(torch.randn(4, 1, 7, generator=torch.Generator().manual_seed(1)), context)

    def plan(seed):
        return planner.plan(
            z,
            context,
            planner.initial(4),
            torch.ones(4, dtype=torch.bool),
            torch.full((4,), 0.9),
            True,
            draws(planner, 4, seed),
            0.5,
        )

    before = torch.random.get_rng_state()
    (action, mean), again, other = plan(0), plan(0), plan(1)
    assert torch.equal(torch.random.get_rng_state(), before), "drew from the global generator"
    assert torch.equal(action, again[0]) and torch.equal(mean, again[1])
    assert not torch.equal(action, other[0])
    assert action.shape == (4, 5) and mean.shape == (4, planner.config.horizon, 5)
    assert not action.requires_grad and not mean.requires_grad
    masked = ~model.action_mask[task]
    assert (action[masked] == 0).all() and (mean.transpose(1, 2)[masked] == 0).all()
    assert (action.abs() <= 1).all()


def test_each_environment_uses_its_own_discount():
    # Rewards now, a cliff later: only a discount of 0 takes the reward.
    class Cliff(QuadraticWorld):
        def next(self, z, action, context):
            return z + action[..., :1]

        def reward(self, z, action, context):
            return action[..., 0] - 50 * (z[..., 0] > 0.1).float()

        def value(self, z):
            return -50 * (z[..., 0] > 0.1).float()

    world = Cliff(1, 1.0)
    planner = Planner(world, PlannerConfig())
    action, _ = planner.plan(
        torch.zeros(2, 1, LATENT),
        world.context(2),
        planner.initial(2),
        torch.ones(2, dtype=torch.bool),
        torch.tensor([0.0, 0.9]),
        False,
        draws(planner, 2, 0),
    )
    assert action[0, 0] > 0.5 and action[1, 0] < 0.11


@pytest.mark.parametrize("terminates", [False, True])
def test_what_would_come_after_an_end_counts_nothing(terminates):
    # Every step to the right pays, and the first one ends the episode: the value is gone.
    class Exit(QuadraticWorld):
        def next(self, z, action, context):
            return torch.where(action[..., :1] > 0, 1.0, z + 0 * action[..., :1])

        def reward(self, z, action, context):
            return action[..., 0] + 0 * z[..., 0]

        def value(self, z):
            return 9.0 + 0 * z[..., 0]

        def termination(self, z, context):
            return z[..., 0] - 0.5

    world = Exit(1, 1.0)
    world.terminates = terminates
    planner = Planner(world, PlannerConfig())
    action, mean = planner.plan(
        torch.zeros(1, 1, LATENT),
        world.context(1),
        planner.initial(1),
        torch.ones(1, dtype=torch.bool),
        torch.tensor([0.9]),
        False,
        draws(planner, 1, 0),
    )
    assert (mean[0, :, 0] < 0.05).all() == terminates
    assert (mean[0, :, 0] > 0.5).all() != terminates


def test_nan_values_count_as_zero():
    class Broken(QuadraticWorld):
        def reward(self, z, action, context):
            return torch.where(action[..., 0] > 0, float("nan"), 1.0 - action[..., 0])

        def value(self, z):
            return torch.zeros_like(z[..., 0])

    world = Broken(1, 1.0)
    planner = Planner(world, PlannerConfig())
    action, mean = planner.plan(
        torch.zeros(1, 1, LATENT),
        world.context(1),
        planner.initial(1),
        torch.ones(1, dtype=torch.bool),
        torch.ones(1),
        True,
        draws(planner, 1, 0),
    )
    assert torch.isfinite(mean).all() and action[0, 0] < 0 and (mean[..., 0] < 0).all()


@pytest.mark.parametrize(
    "change", [{"horizon": 0}, {"num_elites": 600}, {"num_elites": 0}, {"num_pi_trajs": 600}]
)
def test_rejects_impossible_budgets(change):
    with pytest.raises(RunError, match=next(iter(change))):
        PlannerConfig(**change)
