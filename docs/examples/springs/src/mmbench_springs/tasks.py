"""The records: what MMBench knows of the domain and its tasks without loading the simulator."""

from dataclasses import replace

import mmbench

DOMAIN = mmbench.Domain(
    name="springs",
    title="Springs",
    adapter="mmbench_springs.simulator",
    module="mmbench_springs",
    packages=("mmbench-springs>=0.1,<0.2",),
    megabytes=10,
    step_microseconds=5.0,
)

HOLD = mmbench.Task(
    name="spring-hold",
    domain="springs",
    split="train",
    instruction="A mass on a spring, pushed by one force. Bring the mass to rest in the middle.",
    native="0.0",
    obs_dim=2,
    action_dim=1,
    max_episode_steps=100,
    action_repeat=1,
    discount=0.95,
    score_metric="return",
    score_low=0,
    score_high=100,
)
PULL = replace(
    HOLD,
    name="spring-pull",
    instruction="A mass on a spring, pushed by one force. Hold the mass half a metre to the right.",
    native="0.5",
)
PUSH = replace(
    HOLD,
    name="spring-push",
    split="test",  # held out: neither `springs` nor a pattern selects it, only its name
    instruction="A mass on a spring, pushed by one force. Hold the mass half a metre to the left.",
    native="-0.5",
)

mmbench.register(DOMAIN, HOLD, PULL, PUSH)
