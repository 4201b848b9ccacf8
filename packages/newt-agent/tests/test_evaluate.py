import math

import numpy as np
import pytest
import torch
from outside import without_simulator

from mmbench import catalog
from mmbench.evaluation import Episode, summarise
from mmbench.evaluation.intervals import mean_interval, rate_interval
from newt_agent.evaluate import evaluate, make_environments, run_episodes
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent


class Counting:
    """Two tasks whose episodes last 2 and 5 steps; the score is the episode's number."""

    num_envs = 2

    def __init__(self):
        self.tasks = catalog.select("walker-walk,pygame-pong")
        self.length = np.array([2, 5])

    def reset(self, seed=None):
        self.step_number = np.zeros(2, int)
        self.episode = np.zeros(2)
        return np.zeros((2, 128), np.float32), {}

    def step(self, actions):
        self.step_number += 1
        truncated = self.step_number == self.length
        score = self.episode.copy()
        self.episode[truncated] += 1
        self.step_number[truncated] = 0
        infos = {"final_info": {"score": score, "success": np.array([math.nan, 1.0])}}
        obs = np.zeros((2, 128), np.float32)
        return obs, np.array([1.0, 2.0]), np.zeros(2, bool), truncated, infos


def test_every_task_counts_the_same_number_of_episodes():
    seen, firsts = [], []

    def policy(obs, first):
        firsts.append(first.copy())
        return np.zeros((2, 16), np.float32)

    episodes = run_episodes(Counting(), policy, 3, 0, seen.append)
    assert episodes == seen
    short = [e for e in episodes if e.task == "walker-walk"]
    long = [e for e in episodes if e.task == "pygame-pong"]
    # The first three of each, though the short one had finished seven by then.
    assert [e.score for e in short] == [0, 1, 2]
    assert [e.score for e in long] == [0, 1, 2]
    assert {(e.episode_return, e.length) for e in short} == {(2.0, 2)}
    assert {(e.episode_return, e.length) for e in long} == {(10.0, 5)}
    assert firsts[0].all()
    assert [bool(f[0]) for f in firsts[1:5]] == [False, True, False, True]


class Ending(Counting):
    """Two environments of one task, whose episodes end after 1 and after 4 steps."""

    def __init__(self):
        self.tasks = catalog.select("walker-walk") * 2
        self.length = np.array([1, 4])


@pytest.mark.parametrize(("episodes", "of_each"), [(4, (2, 2)), (3, (2, 1))])
def test_short_episodes_do_not_count_more_often_than_long_ones(episodes, of_each):
    finished = run_episodes(Ending(), lambda obs, first: np.zeros((2, 16)), episodes, 0)
    lengths = [episode.length for episode in finished]
    assert (lengths.count(1), lengths.count(4)) == of_each


class Failing(Counting):
    """As above, but the first task's second episode ends by a failure, in its first step."""

    def step(self, actions):
        obs, reward, terminated, truncated, infos = super().step(actions)
        infos["restarted"] = np.array([self.episode[0] == 1 and self.step_number[0] == 1, False])
        self.episode[infos["restarted"]] += 1
        self.step_number[infos["restarted"]] = 0
        return obs, reward, terminated, truncated | infos["restarted"], infos


def test_an_episode_that_a_failure_ends_does_not_count():
    episodes = run_episodes(Failing(), lambda obs, first: np.zeros((2, 16)), 3, 0)
    short = [e for e in episodes if e.task == "walker-walk"]
    assert [e.score for e in short] == [0, 2, 3]
    assert {(e.episode_return, e.length) for e in short} == {(2.0, 2)}


def test_summary_means():
    tasks = catalog.select("walker-walk,pygame-pong,pygame-cowboy,cheetah-run")
    episodes = [
        Episode("walker-walk", 0.2, math.nan, 200.0, 500),
        Episode("walker-walk", 0.4, math.nan, 400.0, 500),
        Episode("pygame-pong", 1.0, 1.0, 3.0, 500),
        Episode("pygame-cowboy", 0.0, 0.0, 0.0, 500),
    ]
    result = summarise(episodes, tasks)
    assert list(result["tasks"]) == ["walker-walk", "pygame-pong", "pygame-cowboy"]
    walker = result["tasks"]["walker-walk"]
    assert walker["score"] == pytest.approx(0.3)
    assert walker["score_std"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert math.isnan(walker["success"])
    assert result["tasks"]["pygame-pong"]["success"] == 1.0
    arcade = result["domains"]["miniarcade"]
    assert (arcade["score"], arcade["tasks"]) == (0.5, 2)
    assert result["total"]["score"] == pytest.approx((0.3 + 1.0 + 0.0) / 3)
    assert result["total"]["tasks"] == 3
    # A task that defines no success does not spoil the mean of those that do.
    assert (result["total"]["success"], result["total"]["success_tasks"]) == (0.5, 2)
    assert result["domains"]["dmcontrol"]["success_tasks"] == 0
    assert result["missing"] == ["cheetah-run"]


def test_means_come_with_their_intervals_over_episodes():
    tasks = catalog.select("walker-walk,pygame-pong")
    walk = [Episode("walker-walk", s, math.nan, 1000 * s, 500) for s in (0.2, 0.4, 0.5)]
    pong = [Episode("pygame-pong", s, s, s, 500) for s in (1.0, 0.0)]
    result = summarise([*walk, *pong], tasks)
    row = result["tasks"]["walker-walk"]
    scores = np.array([0.2, 0.4, 0.5])
    assert row["score_ci"] == pytest.approx(np.clip(mean_interval([scores]), 0, 1))
    assert row["return_ci"] == pytest.approx(mean_interval([1000 * scores]))
    assert np.isnan(row["success_ci"]).all()  # undefined
    assert result["domains"]["dmcontrol"]["score_ci"] == row["score_ci"]
    assert result["tasks"]["pygame-pong"]["success_ci"] == rate_interval(1, 2)
    # What two episodes leave open is cut where no mean of scores can be.
    assert result["tasks"]["pygame-pong"]["score_ci"] == (0.0, 1.0)
    both = mean_interval([scores, np.array([1.0, 0.0])])
    assert result["total"]["score_ci"] == pytest.approx(np.clip(both, 0, 1))
    one = summarise(walk[:1], tasks)
    assert np.isnan(one["total"]["score_ci"]).all()  # one episode tells nothing of the spread


def test_same_seed_same_result():
    tasks = catalog.select("pygame-cartpole-balance")
    agent = PlanningAgent.create(
        tasks, "S", "minilm", PlannerConfig(), torch.Generator().manual_seed(0)
    )
    agent.plan = False

    def returns(agent, seed):
        return [
            episode.episode_return for episode in evaluate(agent, tasks, 2, seed, num_workers=0)
        ]

    assert returns(agent, 5) == returns(agent, 5)
    assert returns(None, 5) == returns(None, 5)
    assert returns(None, 5) != returns(None, 6)


def test_a_few_tasks_at_a_time(monkeypatch):
    made = []

    def making(tasks, **settings):
        env = make_environments(tasks=tasks, **settings)
        made.append(env)
        assert sum(not other.closed for other in made) == 1
        return env

    monkeypatch.setattr("newt_agent.evaluate.make_environments", making)
    monkeypatch.setattr("newt_agent.evaluate.MAX_ENVS", 4)
    tasks = catalog.select("pygame-pong,pygame-landing,pygame-cartpole-balance")
    agent = PlanningAgent.create(
        tasks, "S", "minilm", PlannerConfig(), torch.Generator().manual_seed(0)
    )
    agent.plan = False
    together = evaluate(agent, tasks, 2, 5, num_workers=0)
    assert [env.num_envs for env in made] == [4, 2]
    lengths = [task.max_episode_steps for env in made for task in env.tasks]
    assert lengths == [200, 200, 500, 500, 500, 500]  # shorter ones first
    # The same episodes as of each task by itself.
    for task in tasks:
        alone = evaluate(agent, [task], 2, 5, num_workers=0)
        own = [episode for episode in together if episode.task == task.name]
        assert [e.length for e in alone] == [e.length for e in own]
        assert [e.score for e in alone] == pytest.approx([e.score for e in own], rel=0.02)


def test_the_workers_go_on_for_the_next_tasks(monkeypatch):
    pools, processes = [], set()

    def making(**settings):
        env = make_environments(**settings)
        pools.append(env.pool)
        processes.update(worker.pid for worker in env.pool.workers)
        return env

    monkeypatch.setattr("newt_agent.evaluate.make_environments", making)
    monkeypatch.setattr("newt_agent.evaluate.MAX_ENVS", 1)
    evaluate(None, catalog.select("pygame-landing,pygame-point-maze-var1"), 1, 0, num_workers=1)
    assert len(pools) == 2 and len(processes) == 1
    assert not pools[0].workers  # ended with the evaluation


def test_tasks_that_cannot_run_are_left_out_where_asked_for(monkeypatch):
    without_simulator("dmcontrol", monkeypatch)
    tasks = catalog.select("walker-walk,pygame-landing")
    with pytest.raises(catalog.TaskUnavailableError, match="walker-walk"):
        evaluate(None, tasks, 1, 0, num_workers=0)
    monkeypatch.setattr("newt_agent.evaluate.MAX_ENVS", 1)
    episodes = evaluate(None, tasks, 1, 0, num_workers=0, skip_missing=True)
    assert [episode.task for episode in episodes] == ["pygame-landing"]
