"""Our games against the published ones: single steps, first observations, whole episodes."""

import numpy as np
import published
import pytest

import miniarcade

SIGMAS = 5
EPISODES = 40  # enough to find a changed rule, at a few seconds for all tasks
ALL_EPISODES = 300  # as many as were recorded
POLICIES = ["random", "zero", "hold"]

every_task = pytest.mark.parametrize("task", miniarcade.tasks(), ids=lambda task: task.name)
every_vector_task = pytest.mark.parametrize(
    "task", [task for task in miniarcade.tasks() if task.vector], ids=lambda task: task.name
)


def check_steps(task, played):
    """That every recorded step comes out, from `(observation before, outcome)` of each."""
    steps = published.recorded(task)["steps"]
    assert len(steps) > 370
    mistakes = []
    for step, (before, outcome) in zip(steps, played, strict=True):
        start = published.difference(task, before, step["obs"])
        mistake = published.mistake(task, outcome, step["results"])
        if start > published.TOLERANCE:
            mistakes.append((step["t"], step["policy"], f"obs before the step: {start:.1e} off"))
        elif mistake:
            mistakes.append((step["t"], step["policy"], mistake))
    assert not mistakes, f"{len(mistakes)} of {len(steps)} steps differ: {mistakes[:10]}"


@every_task
def test_recorded_steps(task):
    check_steps(task, [published.play(task, step) for step in published.recorded(task)["steps"]])


@every_vector_task
def test_recorded_steps_as_vector(task):
    before, outcome = published.play_vector(task, published.recorded(task)["steps"])
    outcomes = map(published.Outcome, *outcome)
    check_steps(task, zip(before, outcomes, strict=True))


@every_task
def test_recorded_resets(task):
    resets = published.recorded(task)["resets"]
    assert bool(resets) != task.name.startswith("point-maze")
    for u in {reset["u"] for reset in resets}:
        game = task.make_game()
        game.reset(published.Scripted(u))
        wanted = [reset["obs"] for reset in resets if reset["u"] == u]
        nearest = min(published.difference(task, game.observe(), obs) for obs in wanted)
        assert nearest <= published.TOLERANCE, (u, game.observe(), wanted)


def check_distributions(task, policy, episodes, count):
    observations, rewards, scores = episodes(task.name, policy, count)
    published_ones = published.distribution(task, policy)
    entries = published.compared(task)
    # Ours has one value or row an episode; of the published there are mean and deviation.
    for what, ours, mean, sd, part in (
        ("return", rewards.sum(axis=1), "return_mean", "return_sd", ...),
        ("score", scores, "score_mean", "score_sd", ...),
        ("observation", observations[:, 1:].mean(axis=1), "obs_mean", "obs_mean_sd", entries),
        ("first observation", observations[:, 0], "first_obs_mean", "first_obs_sd", entries),
    ):
        mean, sd = np.array(published_ones[mean]), np.array(published_ones[sd])
        # The larger deviation: few episodes may miss what happens in one of fifty.
        sd = np.maximum(sd, ours.std(axis=0, ddof=1))
        limit = SIGMAS * sd * np.sqrt(1 / count + 1 / published_ones["episodes"])
        limit += published.TOLERANCE * np.maximum(1, np.abs(mean))
        share = np.abs(ours.mean(axis=0) - mean) / limit
        assert (share <= 1)[part].all(), (what, ours.mean(axis=0), mean, share)


@pytest.mark.parametrize("policy", POLICIES)
@every_task
def test_distributions(task, policy, episodes):
    check_distributions(task, policy, episodes, EPISODES)


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@every_task
def test_distributions_of_as_many_episodes(task, policy, episodes):
    check_distributions(task, policy, episodes, ALL_EPISODES)
