"""Protocols: what a run has to do so that its numbers can stand beside others'.

There is one, ``lite``; docs/lite.md says why it is as it is. Settings are told by their names in
``config.json``, without torch, so that any package can read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FREE = ("seed", "out", "skip_missing", "imports", "on_error", "checkpoint_every", "wandb")
"""Settings that a protocol leaves to the user."""


@dataclass(frozen=True)
class Entrant:
    """One row of the comparison: a method, and what it does differently from its ``lite`` preset.

    Attributes:
        method: Its name.
        flags: Settings on top of the method's own.
    """

    method: str
    flags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """A protocol.

    Attributes:
        version: Rises with every change that changes a number. Results of two versions are never
            in one table.
        tasks: The preset of tasks.
        steps: Agent steps of the methods that act, at most.
        episodes: Of each task in the evaluation at the end.
        seeds: Of the training runs.
        minutes: What a run may take on one core.
        settings: Of each method, on top of those of its preset ``machine``.
        entrants: The rows, by name.
    """

    version: int
    tasks: str
    steps: int
    episodes: int
    seeds: tuple[int, ...]
    minutes: float
    settings: Mapping[str, Mapping[str, Any]]
    entrants: Mapping[str, Entrant]

    def length(self, row: str) -> int | None:
        """How long a run of a row is, in steps or updates; None of a row that is not here."""
        entrant = self.entrants.get(row)
        if entrant is None:
            return None
        settings = {**self.settings[entrant.method], **entrant.flags}
        return int(settings["updates"] if "updates" in settings else settings["steps"])


@dataclass(frozen=True)
class ProtocolLabel:
    """What a run says of a protocol, ``protocol`` in its config.json.

    Attributes:
        name: Of the protocol.
        version: Of the protocol.
        row: The name of its row.
        changed: The settings that differ; the run does not follow the protocol where there are any.
    """

    name: str
    version: int
    row: str = ""
    changed: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the run follows the protocol."""
        return not self.changed

    def __str__(self) -> str:
        if self.kept:
            return f"{self.name} {self.version}"
        return f"not {self.name}: {', '.join(self.changed)}"


STEPS = 200_000
"""Agent steps of every online method, 10,000 of each task."""

EPISODES = 10
"""Of each task, in the evaluation at the end."""

_COMMON = {
    "tasks": "lite",
    "size": "XS",
    "envs_per_task": 1,
    "eval_every": 0,  # the training episodes are the curve
    "eval_episodes": EPISODES,
    "checkpoint_every": 20_000,
    "threads": 1,
    "num_workers": 0,
    "device": "cpu",
}
_CLONING = {"demo_episodes": 10}  # some tasks have more
_ONLINE = {**_COMMON, "steps": STEPS}
# The replay holds the whole run.
_OFF_POLICY = {**_ONLINE, "seed_steps": 20_000, "replay_capacity": STEPS}

# The short-run settings of the quickstart (docs/results/quickstart.md), which were found on other
# tasks: larger steps, a target network that follows sooner, a calm end.
_SHORT_RUN = {"lr": 1e-3, "encoder_lr_scale": 1.0, "policy_eps": 1e-8, "target_tau": 0.02}

LITE = Protocol(
    version=1,
    tasks="lite",
    steps=STEPS,
    episodes=EPISODES,
    seeds=(0, 1, 2),
    minutes=25,
    settings={
        "newt": {
            **_OFF_POLICY,
            **_CLONING,
            "utd": 0.06,  # 12,000 updates
            "batch_size": 160,
            "pretrain_updates": 6_000,
            "discount_max": 0.98,
            "optimizer": {**_SHORT_RUN, "anneal": 0.3},
        },
        "tdmpc2": {
            **_OFF_POLICY,
            "utd": 0.06,
            "batch_size": 160,
            "discount_max": 0.98,
            "optimizer": {**_SHORT_RUN, "anneal": 0.3},
        },
        "fast_td3": _OFF_POLICY,
        "ppo": _ONLINE,
        "brc": {**_OFF_POLICY, "batch_size": 256},
        "bc": {
            **_COMMON,
            **_CLONING,
            "updates": 30_000,
            "batch_size": 256,
            "eval_every": 6_000,
            "checkpoint_every": 6_000,
        },
    },
    entrants={
        "newt": Entrant("newt"),
        "newt-no-language": Entrant("newt", {"encoder": "none"}),
        "newt-no-demos": Entrant("newt", {"demos": "none"}),
        # As many updates as Newt has in all.
        "newt-pretraining": Entrant(
            "newt", {"steps": 0, "seed_steps": 0, "pretrain_updates": 18_000}
        ),
        "tdmpc2": Entrant("tdmpc2"),
        "fast_td3": Entrant("fast_td3"),
        "ppo": Entrant("ppo"),
        "brc": Entrant("brc"),
        "bc": Entrant("bc"),
    },
)
"""The protocol of the track ``lite``."""

PROTOCOLS = {"lite": LITE}
"""By name, which is that of the preset too."""
