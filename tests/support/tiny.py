"""Training settings for tests."""

import dataclasses

from newt_agent.newt import QUICKSTART
from newt_agent.planner import PlannerConfig

TINY = dataclasses.replace(
    QUICKSTART,
    tasks="pygame-cartpole-balance,cartpole-swingup",
    steps=1600,
    seed_steps=200,
    checkpoint_every=600,
    envs_per_task=1,
    num_workers=0,
    batch_size=8,
    utd=0.02,
    replay_capacity=20_000,
    eval_episodes=1,
    threads=1,
    plan_in_eval=False,  # it takes most of a short run's time
    planner=PlannerConfig(num_samples=8, num_elites=4, num_pi_trajs=2, iterations=1),
)
"""A run of about ten seconds that takes every path: planning, several checkpoints, resets."""
