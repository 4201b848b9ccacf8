"""Settings of a training run, and the presets that fill them in."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from mmbench import catalog
from mmbench.catalog import Task
from mmbench.runs import RunError
from newt_agent.losses import LossConfig
from newt_agent.planner import PlannerConfig

Size = Literal["XS", "S", "B", "L", "XL"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, twice: one for the world model, one for the policy (paper, table of settings)."""

    lr: float = 3e-4
    """Learning rate."""
    encoder_lr_scale: float = 0.3
    """Factor on the learning rate for the encoder."""
    grad_clip_norm: float = 20.0
    """Largest global norm of the gradients."""
    policy_eps: float = 1e-5
    """Adam's epsilon for the policy."""
    anneal: float = 0.0
    """Last part of the run over which the learning rates fall linearly to 0; 0 keeps them."""
    target_tau: float = 0.01
    """Rate at which the target value network follows, per update."""


@dataclass(frozen=True)
class Config:
    """Settings of `newt-train`. Steps are agent steps, summed over all environments."""

    tasks: str = "all"
    """Tasks to train on: all, a domain, a preset, a glob, names separated by commas, or gym:<id>
    (any Gymnasium environment) and gym:<id>=<instruction>."""
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
    steps: int = 100_000_000
    """Length of the run."""
    seed: int = 0
    """Seed of everything random."""
    device: Device = "auto"
    """Where the agent computes; auto takes a GPU if there is one."""
    out: str | None = None
    """The run's folder; by default runs/<time>-<preset>. An existing run is never touched."""
    checkpoint: str | None = None
    """Folder of a checkpoint whose weights to start from."""
    checkpoint_every: int = 2_000_000
    """Steps between checkpoints."""
    size: Size = "L"
    """Size of the world model: S 2M, B 7M, L 20M, XL 82M parameters; XS 0.3M, for quick looks."""
    encoder: str = "minilm"
    """Text encoder of the instructions: minilm (shipped) or clip (the paper's)."""
    envs_per_task: int = 1
    """Environments of each task."""
    num_workers: int | None = None
    """Processes that step the environments; by default one for each core. 0 steps in this one."""
    on_error: Literal["raise", "restart"] = "raise"
    """An environment that fails ends the run, or is rebuilt with its episode cut short."""
    batch_size: int = 1024
    """Windows of transitions in a batch."""
    utd: float = 0.075
    """Updates per step."""
    discount_max: float = 1.0
    """Largest discount; tasks that have a smaller one keep it."""
    seed_steps: int = 1_000_000
    """Steps with random actions, before the first update."""
    replay_capacity: int = 10_000_000
    """Rows of the replay buffer, over all environments."""
    plan: bool = True
    """Act by planning; off, the policy acts."""
    plan_in_eval: bool = True
    """Plan in evaluations too; off, the policy's mean acts."""
    eval_every: int = 2_000_000
    """Steps between evaluations; 0 evaluates at the start and at the end only."""
    eval_episodes: int = 2
    """Episodes of each task in an evaluation."""
    threads: int | None = None
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
        for name in ("steps", "envs_per_task", "batch_size", "eval_episodes", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: at least 1")
        if self.num_workers is not None and self.num_workers < 0:
            raise ValueError(f"num_workers={self.num_workers}: at least 0, or None")
        if not 0.0 < self.discount_max <= 1.0:
            raise ValueError(f"discount_max={self.discount_max}: above 0, at most 1")
        for name in ("seed", "seed_steps", "eval_every", "utd"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: at least 0")

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


PAPER = Config()
"""The settings of the paper (arXiv 2511.19584, table of hyperparameters)."""

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
    # Half of the memory, at 600 bytes a row.
    rows = int(_memory_bytes() / 2 / 600)
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


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
