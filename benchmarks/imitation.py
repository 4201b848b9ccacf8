"""What keeps Newt's pretraining from cloning as well as bc does, of the same demonstrations?

    OMP_NUM_THREADS=1 uv run python benchmarks/imitation.py      # some fifteen minutes of one core

Trains the policy on the demonstrations of `lite` with the settings of its protocol, and with some
of them changed, and compares what the policy would do in the demonstrators' states with what they
did: the mean squared error as a share of the variance of the demonstrators' actions, of each task,
so 1 says that nothing was learned and 0 everything. No environment is stepped. `told apart` is the
mean of the six tasks that only the instruction tells apart, pair by pair.

The last variants ask whether the length of instructions' embeddings matters: MiniLM's have a norm
of 1, CLIP's of about 16.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mmbench import catalog
from newt_agent.demonstrations import Demonstration, load_demonstrations
from newt_agent.methods import find_method
from newt_agent.protocols import preset

TASKS = catalog.select("lite")
SLOWER = {"optimizer": {"lr": 3e-4}}
ALONE = {"consistency_coef": 0.0, "reward_coef": 0.0, "value_coef": 0.0, "pretrain_bc_coef": 1.0}
PAIRS = {
    *("mw-faucet-open", "mw-faucet-close", "mw-window-open", "mw-window-close"),
    *("ms-push-cube", "ms-pull-cube"),
}


@dataclasses.dataclass(frozen=True)
class Variant:
    """What is tried.

    Attributes:
        name: In the table.
        method: What learns.
        changes: Settings that differ from the protocol's.
        embedding: What the instructions' embeddings are multiplied by.
    """

    name: str
    method: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    embedding: float = 1.0


VARIANTS = (
    Variant("bc", "bc"),
    Variant("bc, batches of 160", "bc", {"batch_size": 160}),
    Variant("bc, batches of 160, learning rate 1e-3", "bc", {"batch_size": 160, "lr": 1e-3}),
    Variant("Newt, imitation alone", "newt", {"loss": ALONE}),
    Variant("Newt, imitation counts 1", "newt", {"loss": {"pretrain_bc_coef": 1.0}}),
    Variant("the same, learning rate 3e-4", "newt", {"loss": {"pretrain_bc_coef": 1.0}, **SLOWER}),
    Variant("Newt, imitation counts 10", "newt"),
    Variant("the same, learning rate 3e-4", "newt", SLOWER),
    Variant("Newt, embeddings 4 times as long", "newt", embedding=4.0),
    Variant("Newt, embeddings 16 times as long", "newt", embedding=16.0),
    Variant("bc, embeddings 16 times as long", "bc", embedding=16.0),
)


def replace(config: Any, changes: Mapping[str, Any]) -> Any:
    """Replaces settings, of nested groups too."""
    nested = {
        name: replace(getattr(config, name), value) if isinstance(value, Mapping) else value
        for name, value in changes.items()
    }
    return dataclasses.replace(config, **nested)


def train(variant: Variant, updates: int) -> Any:
    """Trains a method on demonstrations alone, and returns its agent."""
    kind = find_method(variant.method)
    length = {"updates": updates} if kind.offline else {"steps": 0, "pretrain_updates": updates}
    config = replace(preset(kind, "lite", "cpu", len(TASKS)), {**variant.changes, **length})
    config = kind.complete(config, TASKS, "cpu")
    agent = kind.create_agent(config, TASKS, torch.device("cpu"))
    agent.model.task_embeddings *= variant.embedding
    method = kind(config, agent, torch.arange(len(TASKS)))
    while method.updates < updates:
        method.learn(0)
    agent.plan = False
    return agent


def errors(agent: Any, episodes: Sequence[Demonstration]) -> list[float]:
    """The error of each task, as a share of the variance of its actions."""
    shares = []
    for row, task in enumerate(TASKS):
        own = [episode for episode in episodes if episode.task == row]
        obs = np.concatenate([episode.obs[:-1] for episode in own])
        action = np.concatenate([episode.action for episode in own])[:, : task.action_dim]
        names = [task.versioned_name] * len(obs)
        chosen = agent.act(obs, names, np.ones(len(obs), bool), explore=False)
        gap = np.square(chosen[:, : task.action_dim] - action).mean()
        shares.append(float(gap / action.var(0).mean()))
    return shares


def main() -> None:
    """Prints a row as each variant is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=3_000, help="of each variant")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of variants, from 0")
    args = parser.parse_args()
    torch.set_num_threads(1)
    episodes = load_demonstrations([task.name for task in TASKS], "auto").episodes
    header = ("", "error", "told apart", "worst task", "CPU seconds")
    table = Table(*header, title=f"{args.updates:,} updates")
    for number, variant in enumerate(VARIANTS):
        if args.only and number not in args.only:
            continue
        began = time.process_time()
        agent = train(variant, args.updates)
        seconds = time.process_time() - began
        shares = errors(agent, episodes)
        pairs = [share for task, share in zip(TASKS, shares, strict=True) if task.name in PAIRS]
        numbers = (f"{np.mean(shares):.3f}", f"{np.mean(pairs):.3f}")
        row = (variant.name, *numbers, f"{max(shares):.2f}", f"{seconds:.0f}")
        print(*row, sep="  ", flush=True)
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
