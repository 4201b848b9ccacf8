"""Settings of a training run, and the presets that fill them in."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from mmbench import catalog
from mmbench.catalog import Task
from mmbench.language import ENCODERS
from mmbench.runs import RunError
from newt_agent.losses import LossConfig
from newt_agent.planner import PlannerConfig
from newt_agent.replay import bytes_per_row
from newt_agent.settings import Range, check_settings

Size = Literal["XS", "S", "B", "L", "XL"]
Device = Literal["auto", "cpu", "cuda"]
OnError = Literal["raise", "restart"]

Seed = Annotated[int, Range(0, 2**32 - 1)]
Steps = Annotated[int, Range(1, 10**12)]
Workers = Annotated[int, Range(0, 1024)]
Episodes = Annotated[int, Range(1, 100_000)]
Threads = Annotated[int, Range(1, 1024)]

MAX_ENVS = 16_384
"""Environments in all. A process for each core steps them, and every one takes memory."""


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, twice: one for the world model, one for the policy (paper, table of settings)."""

    lr: Annotated[float, Range(0, 1e30)] = 3e-4
    """Learning rate."""
    encoder_lr_scale: Annotated[float, Range(0, 1e6)] = 0.3
    """Factor on the learning rate for the encoder."""
    grad_clip_norm: Annotated[float, Range(0, 1e30, above=True)] = 20.0
    """Largest global norm of the gradients."""
    policy_eps: Annotated[float, Range(0, 1, above=True)] = 1e-5
    """Adam's epsilon for the policy."""
    anneal: Annotated[float, Range(0, 1)] = 0.0
    """Last part of the run over which the learning rates fall linearly to 0; 0 keeps them."""
    target_tau: Annotated[float, Range(0, 1)] = 0.01
    """Rate at which the target value network follows, per update."""

    def __post_init__(self) -> None:
        check_settings(self, "optimizer.")


@dataclass(frozen=True)
class Config:
    """Settings of `newt-train`. Steps are agent steps, summed over all environments."""

    tasks: Annotated[
        str,
        tyro.conf.arg(
            help=f"Tasks to train on: {catalog.SELECTION}. Or gym:<id> and "
            "gym:<id>=<instruction>, of any Gymnasium environment."
        ),
    ] = "all"
    imports: Annotated[str | None, tyro.conf.arg(name="import")] = None
    """Modules to import first, separated by commas, which register tasks by mmbench.register."""
    instruction: str | None = None
    """The instruction of the gym:<id> task; by default the words of its id."""
    score: str | None = None
    """Returns that count as 0 and 1 in the gym:<id> task: low,high. By default it has no score."""
    terminations: Literal["ignore", "end"] | None = None
    """What it means that a Gymnasium environment says terminated: nothing (ignore, the default),
    or the end of the episode, which Newt cannot learn from yet."""
    skip_missing: bool = False
    """Leave out tasks that cannot run on this machine, instead of stopping."""
    steps: Steps = 100_000_000
    """Length of the run."""
    seed: Seed = 0
    """Seed of everything random."""
    device: Device = "auto"
    """Where the agent computes; auto takes a GPU if there is one."""
    out: str | None = None
    """The run's folder; by default runs/<time>-<preset>. An existing run is never touched."""
    checkpoint: str | None = None
    """Folder of a checkpoint whose weights to start from."""
    checkpoint_every: Steps = 2_000_000
    """Steps between checkpoints."""
    size: Size = "L"
    """Size of the world model: S 2M, B 7M, L 20M, XL 82M parameters; XS 0.3M, for quick looks."""
    encoder: str = "minilm"
    """Text encoder of the instructions: minilm (shipped) or clip (the paper's)."""
    envs_per_task: Annotated[int, Range(1, MAX_ENVS)] = 1
    """Environments of each task."""
    num_workers: Workers | None = None
    """Processes that step the environments; by default one for each core. 0 steps in this one."""
    on_error: OnError = "raise"
    """An environment that fails ends the run, or is rebuilt with its episode cut short."""
    batch_size: Annotated[int, Range(1, 2**20)] = 1024
    """Windows of transitions in a batch."""
    utd: Annotated[float, Range(0, 100)] = 0.075
    """Updates per step."""
    discount_max: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Largest discount; tasks that have a smaller one keep it."""
    seed_steps: Annotated[int, Range(0, 10**12)] = 1_000_000
    """Steps with random actions, before the first update."""
    replay_capacity: Annotated[int, Range(1, 10**12)] = 10_000_000
    """Rows of the replay buffer, over all environments."""
    plan: bool = True
    """Act by planning; off, the policy acts."""
    plan_in_eval: bool = True
    """Plan in evaluations too; off, the policy's mean acts."""
    eval_every: Annotated[int, Range(0, 10**12)] = 2_000_000
    """Steps between evaluations; 0 evaluates at the start and at the end only."""
    eval_episodes: Episodes = 2
    """Episodes of each task in an evaluation."""
    threads: Threads | None = None
    """CPU threads of the agent; by default all cores."""
    wandb: bool = False
    """Log to Weights & Biases too (needs `pip install 'newt-agent[wandb]'`)."""
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    """The planner."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The losses."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """The optimizers."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.encoder not in ENCODERS:
            raise RunError(f"encoder={self.encoder!r}: one of {', '.join(ENCODERS)}")

    def selected(self) -> tuple[Task, ...]:
        """Imports the modules and returns the tasks to train on.

        Raises:
            InvalidTaskError: A module cannot be imported, or a setting of a Gymnasium environment
                is not possible.
            UnknownTaskError: A task is unknown.
            RunError: Newt cannot learn a task.
        """
        catalog.import_modules(self.imports)
        tasks = catalog.select(self.tasks, self.instruction, self.score, self.terminations)
        for task in tasks:
            if task.terminates:
                raise RunError(
                    f"task {task.name!r}: its episodes terminate, which Newt cannot learn from "
                    "yet; leave them to go on with --terminations ignore"
                )
            if task.obs_dim == 0:
                raise RunError(f"task {task.name!r}: Newt cannot learn from images yet")
        return tasks

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain values, for ``config.json``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Restores :meth:`to_dict`.

        Raises:
            TypeError: A setting is unknown to this version.
        """
        nested = {"planner": PlannerConfig, "loss": LossConfig, "optimizer": OptimizerConfig}
        plain = {k: nested[k](**v) if k in nested else v for k, v in values.items()}
        return cls(**plain)


def check_run(config: Config, tasks: Sequence[Task], device: str) -> None:
    """Checks what settings ask of the tasks and of the machine, before anything is built.

    Args:
        config: Settings, each of which is in its range.
        tasks: The tasks to train on.
        device: ``cpu`` or ``cuda``, where the replay buffer is.

    Raises:
        RunError: A setting does not fit; the value and the least or greatest one are named.
    """
    num_envs = len(tasks) * config.envs_per_task
    if num_envs > MAX_ENVS:
        raise RunError(
            f"envs_per_task={config.envs_per_task}: with {len(tasks)} tasks these are {num_envs:,} "
            f"environments, and {MAX_ENVS:,} is the most"
        )
    shortest = min(tasks, key=lambda task: task.max_episode_steps)
    horizon = config.planner.horizon
    if horizon > shortest.max_episode_steps:
        raise RunError(
            f"planner.horizon={horizon}: an episode of {shortest.versioned_name} has only "
            f"{shortest.max_episode_steps} steps"
        )
    if config.seed_steps >= config.steps:
        raise RunError(
            f"seed_steps={config.seed_steps}: less than steps={config.steps}, or nothing is learned"
        )
    if config.seed_steps < horizon * num_envs:
        raise RunError(
            f"seed_steps={config.seed_steps}: at least {horizon * num_envs}, so that each of "
            f"{num_envs} environments has taken the {horizon} steps that an update looks at"
        )
    # A resumed run brings its environments back by taking the actions of their episodes again,
    # and finds them in the replay.
    longest = max(tasks, key=lambda task: task.max_episode_steps)
    rows = num_envs * max(longest.max_episode_steps + 1, 2 * (horizon + 1))
    if config.replay_capacity < rows:
        raise RunError(
            f"replay_capacity={config.replay_capacity}: at least {rows}, so that it holds an "
            f"episode of each of {num_envs} environments ({longest.versioned_name} has "
            f"{longest.max_episode_steps} steps)"
        )
    size, memory = config.replay_capacity * bytes_per_row(), _memory_bytes(device)
    if size > memory:
        raise RunError(
            f"replay_capacity={config.replay_capacity}: these rows take {size / 2**30:,.0f} GiB, "
            f"and this {'GPU' if device == 'cuda' else 'machine'} has {memory / 2**30:,.0f} GiB"
        )


def check_checkpoint(config: Config, checkpoint: object, size: str, encoder: str) -> None:
    """Checks that a run asks for the agent that its checkpoint holds.

    Args:
        config: Settings of the run.
        checkpoint: Where it lies, for the message.
        size: The checkpoint's size.
        encoder: Its text encoder.

    Raises:
        RunError: The run asks for another one.
    """
    for name, own in (("size", size), ("encoder", encoder)):
        if getattr(config, name) != own:
            raise RunError(
                f"{name}={getattr(config, name)}: {checkpoint} has {own}; leave --{name} out to "
                "take the checkpoint's"
            )


def check_resumption(config: Config, before: dict[str, Any], step: int) -> None:
    """Checks that a run can go on with these settings.

    Args:
        config: Settings of the run.
        before: Those with which the checkpoint was made, as of :meth:`Config.to_dict`.
        step: The step of the checkpoint.

    Raises:
        RunError: The run is longer already, or the checkpoint's tensors would not fit.
    """
    if config.steps < step and config.steps != before.get("steps"):
        raise RunError(f"steps={config.steps}: the run is at step {step} already")
    now = config.to_dict()
    held = {
        name: (before.get(name, now[name]), now[name])
        for name in (
            *("tasks", "instruction", "score", "terminations"),
            *("envs_per_task", "size", "encoder", "replay_capacity"),
        )
    }
    horizon = config.planner.horizon
    held["planner.horizon"] = before.get("planner", {}).get("horizon", horizon), horizon
    for name, (old, new) in held.items():
        if old != new:
            raise RunError(
                f"{name}={new}: the checkpoint was made with {old}, so set it back in config.json"
            )


PAPER = Config()
"""The settings of the paper (arXiv 2511.19584, table of hyperparameters).

What the paper does and this agent does not do yet: pretraining on demonstrations with a warm-up of
the learning rate, the half of each batch that comes from them, the planner's anneal from the policy
(from step 2 to 12 million), images, finetuning, several GPUs. The paper's text encoder is ``clip``;
here it is ``minilm``, which is shipped.
"""

QUICKSTART = Config(
    tasks="quickstart",
    steps=60_000,
    checkpoint_every=15_000,
    size="XS",
    envs_per_task=4,
    batch_size=160,
    utd=0.23,
    discount_max=0.98,  # values that look 50 steps ahead are learned sooner
    seed_steps=8_000,
    replay_capacity=200_000,
    eval_every=0,
    eval_episodes=5,
    threads=1,  # so small a network is no faster with more
    planner=PlannerConfig(num_samples=48, num_elites=8, num_pi_trajs=16, iterations=2),
    # There are no demonstrations whose actions would be worth imitating.
    loss=LossConfig(bc_coef=0.0),
    # A short run: larger steps, a target network that follows sooner, and a calm end.
    optimizer=OptimizerConfig(
        lr=1e-3, encoder_lr_scale=1.0, policy_eps=1e-8, anneal=0.3, target_tau=0.02
    ),
)
"""Four easy tasks of two domains, sized for minutes on two cores (docs/results/quickstart.md)."""


def fit_to_machine(device: str, num_tasks: int) -> Config:
    """Settings for any tasks on the machine at hand.

    Args:
        device: ``cpu`` or ``cuda``.
        num_tasks: Number of tasks to train on.

    Returns:
        The paper's settings with size, batch, planner budget, updates and replay fitted to the
        cores, the memory and the GPU.
    """
    # Half of the memory.
    rows = int(_memory_bytes("cpu") / 2 / bytes_per_row())
    # A few tasks learn from fewer steps when each step is used more often.
    utd = min(0.5, max(0.075, 2.0 / num_tasks))
    common: dict[str, Any] = {
        "replay_capacity": min(PAPER.replay_capacity, rows),
        "steps": 500_000 * num_tasks,
        "seed_steps": 5_000 * num_tasks,
        "utd": utd,
        "eval_every": 25_000 * num_tasks,
        "checkpoint_every": 25_000 * num_tasks,
    }
    if device == "cuda":
        size: Size = "L" if num_tasks > 20 else "B"
        return dataclasses.replace(PAPER, size=size, loss=LossConfig(bc_coef=0.0), **common)
    return dataclasses.replace(
        PAPER,
        size="S",
        batch_size=256,
        planner=QUICKSTART.planner,
        loss=QUICKSTART.loss,
        **common,
    )


def _memory_bytes(device: str) -> int:
    if device == "cuda":
        import torch

        return torch.cuda.get_device_properties("cuda").total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
