"""Saves the policy of an agent that PPO trained on one task, for the expert that plays it.

uv run baselines-train ppo --tasks TASK ... --out RUN
uv run packages/mmbench/scripts/export_policy.py RUN [--checkpoint best] [--out FOLDER]
"""

import argparse
from pathlib import Path

import torch

from mmbench.catalog import get
from mmbench.demos.experts.linear import POLICIES
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
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--checkpoint", default="best", help="which of its checkpoints")
    parser.add_argument("--out", type=Path, default=POLICIES)
    arguments = parser.parse_args()
    try:
        agent = Agent.load(arguments.run / "checkpoints" / arguments.checkpoint)
    except RunError as error:
        raise SystemExit(str(error)) from error
    if not isinstance(agent, PPOAgent) or len(agent.tasks) != 1:
        raise SystemExit(f"{arguments.run}: no run of PPO on one task alone")
    path = arguments.out / f"{agent.tasks[0].name}.npz"
    with torch.no_grad():
        network_of(agent).save(path)
    print(f"saved {path}")


if __name__ == "__main__":
    main()
