"""Saves the policy of an agent that PPO trained on one task, for the expert that plays it.

uv run baselines-train ppo --tasks TASK ... --out RUN
uv run packages/mmbench/scripts/export_policy.py RUN [--checkpoint best] [--out FOLDER]
"""

import argparse
import sys
from pathlib import Path

import torch

from mmbench.catalog import get
from mmbench.demos.experts.trained import Layer, Network
from mmbench.runs import RunError
from mmbench_baselines.ppo import PPOAgent
from newt_agent import Agent


def network_of(agent: PPOAgent) -> Network:
    """The network of an agent's only task: what is the same for all observations becomes a bias."""
    task, model = get(agent.tasks[0].name), agent.model
    rows = range(task.action_dim)  # of the means; the rest are the other entries' and deviations
    obs = slice(task.obs_dim)
    actor = model.actor
    weights = [actor.weight_x[:, obs], *(linear.weight for linear in actor.linears)]
    biases = [actor.language_term(model.task_embeddings[0]), *(li.bias for li in actor.linears)]
    weights[-1], biases[-1] = weights[-1][rows], biases[-1][rows]
    gains = [*(norm.weight for norm in actor.norms), torch.zeros(0)]
    shifts = [*(norm.bias for norm in actor.norms), torch.zeros(0)]
    layers = [
        Layer(*(tensor.double().numpy() for tensor in layer))
        for layer in zip(weights, biases, gains, shifts, strict=True)
    ]
    normaliser = model.normaliser
    scale = (normaliser.variance[0, obs] + 1e-8).sqrt()
    return Network(normaliser.mean[0, obs].numpy(), scale.numpy(), tuple(layers))


def main() -> None:
    """Saves the policy under the task's name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "run",
        type=Path,
        help="folder of the run, whose best checkpoint is taken, or a checkpoint's",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder of networks")
    arguments = parser.parse_args()
    best = arguments.run / "checkpoints" / "best"
    folder = best.resolve() if best.exists() else arguments.run
    try:
        agent = Agent.load(folder)
    except RunError as error:
        raise SystemExit(str(error)) from error
    if not isinstance(agent, PPOAgent) or len(agent.tasks) != 1:
        count = len(agent.tasks)
        raise SystemExit(
            f"{arguments.run} has an agent of {agent.method} that knows {count} tasks: only PPO's "
            "that knows one alone can be exported"
        )
    path = arguments.out / f"{agent.tasks[0].name}.npz"
    with torch.no_grad():
        network = network_of(agent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        network.save(path)
    except OSError as error:
        raise SystemExit(f"{path} cannot be written: {error.strerror}") from error
    print(f"saved {path}, from {folder}")
    if not network.layers[-1].weight.any():
        print("that agent is untrained: it always does nothing", file=sys.stderr)


if __name__ == "__main__":
    main()
