"""The agent: a world model, the tasks it knows, and a planner, behind one method, `act`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import Task, action_mask, observation_mask
from mmbench.language import embed, encoder_dim
from mmbench.runs import RunError, RunFolder, one_line, read_json, verify_folder, write_json
from mmbench.runs.folder import CHECKPOINTS
from newt_agent.finite import LARGEST, BrokenAgentError, UnusableNumberError, is_usable
from newt_agent.planner import Planner, PlannerConfig
from newt_agent.tensors import load_tensors, save_tensors
from newt_agent.world_model import SIZES, ModelConfig, TaskContext, WorldModel

WEIGHTS = "model.safetensors"
DESCRIPTION = "agent.json"
POLICY_NOISE = 0.3
"""Standard deviation of the exploration noise where the policy acts without planning."""


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """What an agent has to know of a task.

    Attributes:
        name: The task's name (with ``-v1`` for a corrected version).
        instruction: Its text.
        discount: Its discount factor.
    """

    name: str
    instruction: str
    discount: float


class Agent:
    """Acts in any of its tasks.

    The planner's memory (its last plan) lives here, one slot a row of the observations, so one
    agent serves one batch of environments.

    Args:
        model: The world model; its task table is in the order of ``tasks``.
        tasks: What the rows of the table are.
        encoder: Name of the text encoder that made the table's embeddings.
        planner: Settings of the planner.
        plan: Act by planning; off, the policy acts.
        discount_max: The largest discount to learn and plan with; see :meth:`limit_discount`.

    Attributes:
        discount: ``[tasks]``, what is learned and planned with.
    """

    def __init__(
        self,
        model: WorldModel,
        tasks: Sequence[TaskInfo],
        encoder: str,
        planner: PlannerConfig,
        plan: bool = True,
        discount_max: float = 1.0,
    ) -> None:
        self.model = model
        self.tasks = tuple(tasks)
        self.encoder = encoder
        self.planner = Planner(model, planner)
        self.plan = plan
        self._index = {task.name: i for i, task in enumerate(self.tasks)}
        self.discount = torch.empty(len(self.tasks), device=self.device)
        self.limit_discount(discount_max)
        self.memory: Tensor | None = None

    @classmethod
    def create(
        cls,
        tasks: Sequence[Task],
        size: str,
        encoder: str,
        planner: PlannerConfig,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
    ) -> Agent:
        """Makes an untrained agent for some tasks of the benchmark.

        Args:
            tasks: The tasks, in the order of the agent's table.
            size: ``XS``, ``S``, ``B``, ``L`` or ``XL``.
            encoder: Text encoder of the instructions.
            planner: Settings of the planner.
            generator: Source of the initial weights, on the CPU.
            device: Where the model computes.
        """
        embeddings = embed([task.instruction for task in tasks], encoder=encoder)
        model = WorldModel(
            SIZES[size],
            torch.from_numpy(embeddings),
            torch.from_numpy(np.stack([action_mask(task) for task in tasks])),
            torch.from_numpy(np.stack([observation_mask(task) for task in tasks])),
            generator=generator,
        )
        infos = [TaskInfo(t.versioned_name, t.instruction, t.discount) for t in tasks]
        return cls(model.to(device), infos, encoder, planner)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.bins.device

    @property
    def size(self) -> str:
        """Name of the model's size, or ``custom`` if it has none."""
        return _size_name(self.model.config)

    def limit_discount(self, largest: float) -> None:
        """Learns and plans with at most this discount in every task.

        The tasks keep their own discounts, so a later call may raise the limit again.
        """
        self.discount_max = largest
        own = torch.tensor([task.discount for task in self.tasks])
        self.discount.copy_(own.clamp(max=largest))  # in place, for the learner holds it too

    def index(self, names: Sequence[str]) -> Tensor:
        """Returns the rows of the task table, [len(names)] int64.

        Raises:
            RunError: The agent does not know a task.
        """
        check_known(names, list(self._index))
        return torch.tensor([self._index[name] for name in names], device=self.device)

    @torch.no_grad()
    def act(
        self,
        obs: np.ndarray | Tensor,
        tasks: Sequence[str],
        first: np.ndarray | Tensor,
        explore: bool = False,
        generator: torch.Generator | None = None,
    ) -> np.ndarray:
        """Chooses an action for each row.

        Args:
            obs: [B, 128], padded observations.
            tasks: B names.
            first: [B] bool, where an episode starts.
            explore: Add the noise of training.
            generator: Source of noise, on the model's device; None is the global one.

        Returns:
            [B, 16] float32 in [-1, 1], zero at masked entries.

        Raises:
            RunError: The agent does not know a task, an observation is NaN or beyond 1e18, or the
                weights are such that an action would be NaN.
            ValueError: A shape is another one; or the batch has another size than at the last
                call, though not every row starts an episode.
        """
        shapes = tuple(np.shape(obs)), tuple(np.shape(first))
        width = self.model.config.obs_dim
        if isinstance(tasks, str) or shapes != ((len(tasks), width), (len(tasks),)):
            raise ValueError(
                f"obs has the shape {shapes[0]}, first {shapes[1]}, and tasks is {tasks!r:.80}: "
                f"obs has to be (B, {width}), first (B,) and tasks B names; a single observation "
                "is obs[None], with [name] and [first]"
            )
        return self.act_on(obs, self.index(tasks), first, explore, generator)

    @torch.no_grad()
    def act_on(
        self,
        obs: np.ndarray | Tensor,
        task: Tensor,
        first: np.ndarray | Tensor,
        explore: bool = False,
        generator: torch.Generator | None = None,
    ) -> np.ndarray:
        """Like `act`, with rows of the task table instead of names."""
        obs = torch.as_tensor(obs, dtype=torch.float32, device=self.device)
        first = torch.as_tensor(first, device=self.device)
        # One dimension more, against which the planner's candidates broadcast.
        context = self.model.context(task[:, None])
        z = self.model.encode(obs[:, None], context)
        if self.plan:
            action = self._plan(z, context, first, explore, generator)
        else:
            action = self._follow_policy(z, context, explore, generator)
        result = action.cpu().numpy()
        if not np.isfinite(result).all():
            raise self._explain(result, obs, task)
        return result

    def _plan(
        self,
        z: Tensor,
        context: TaskContext,
        first: Tensor,
        explore: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        if self.memory is None or len(self.memory) != len(z):
            if not bool(first.all()):
                raise ValueError(
                    f"{len(z)} rows, but the last call had "
                    f"{0 if self.memory is None else len(self.memory)}: pass first=True for all"
                )
            self.memory = self.planner.initial(len(z))
        discount = self.discount[context.task[:, 0]]
        action, self.memory = self.planner.plan(
            z, context, self.memory, first, discount, explore, generator
        )
        return action

    def _explain(self, action: np.ndarray, obs: Tensor, task: Tensor) -> RunError:
        """Says whose fault an action is that cannot be taken."""
        row = int(np.flatnonzero(~np.isfinite(action).all(1))[0])
        name = self.tasks[int(task[row])].name
        values = obs[row].cpu().numpy()
        unusable = ~is_usable(values) & self.model.observation_mask[task[row]].cpu().numpy()
        if unusable.any():
            entry = int(np.flatnonzero(unusable)[0])
            return UnusableNumberError(
                f"the observation of task {name!r} (row {row}) holds {values[entry]!s} in entry "
                f"{entry}; the magnitude may be {LARGEST:g} at most"
            )
        return BrokenAgentError(f"the action for task {name!r} is NaN: the weights are broken")

    def _follow_policy(
        self, z: Tensor, context: TaskContext, explore: bool, generator: torch.Generator | None
    ) -> Tensor:
        mean = self.model.pi(z, context)[0].squeeze(1)
        if not explore:
            return mean
        # The policy's std starts tiny; exploration normally comes from the planner.
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        noisy = (mean + POLICY_NOISE * noise).clamp(-1.0, 1.0)
        return torch.where(context.action_mask.squeeze(1), noisy, 0.0)

    def policy(self, task: str, seed: int = 0) -> Callable[[np.ndarray, bool], np.ndarray]:
        """Returns how the agent acts in one environment, without the noise of training.

        Args:
            task: Name of the task.
            seed: Of the planner's noise.

        Returns:
            A function from an observation (128,) and whether an episode starts with it to an
            action (16,). It uses the planner's memory of this agent: one environment at a time.

        Raises:
            RunError: The agent does not know the task.
        """
        self.index([task])
        generator = torch.Generator(self.device).manual_seed(seed)
        return lambda obs, first: self.act(
            obs[None], [task], np.array([first]), generator=generator
        )[0]

    def save(self, folder: Path) -> None:
        """Writes the weights and the description of the agent into a folder."""
        save_tensors(folder / WEIGHTS, self.model.state_dict())
        write_json(folder / DESCRIPTION, self.describe())

    def describe(self) -> dict[str, Any]:
        """Returns all that is needed to build the agent again, as plain values."""
        return {
            "model": dataclasses.asdict(self.model.config),
            "encoder": {"name": self.encoder, "dim": self.model.task_embeddings.shape[1]},
            "planner": dataclasses.asdict(self.planner.config),
            "discount_max": self.discount_max,
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
        }

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Agent:
        """Loads an agent from a checkpoint.

        Args:
            folder: A checkpoint's folder, or that of a run (then its last checkpoint).
            device: Where the model computes.

        Raises:
            RunError: There is no complete checkpoint, or it is damaged.
        """
        while True:
            found = checkpoint_folder(folder)
            identity = _identity(found)
            try:
                return cls._read(found, device)
            except RunError:
                # A run that is on may have put another one in its place meanwhile.
                if _identity(checkpoint_folder(folder)) == identity:
                    raise

    @classmethod
    def _read(cls, folder: Path, device: torch.device | str) -> Agent:
        verify_folder(folder, (DESCRIPTION, WEIGHTS))
        about = read_json(folder / DESCRIPTION)
        try:
            tensors = load_tensors(folder / WEIGHTS)
            config = ModelConfig(**about["model"])
            name, dim = about["encoder"]["name"], about["encoder"]["dim"]
            if dim != encoder_dim(name):
                raise RunError(
                    f"{folder}: its task embeddings have {dim} entries, but the encoder {name!r} "
                    f"gives {encoder_dim(name)}"
                )
            model = WorldModel(
                config,
                tensors["task_embeddings"],
                tensors["action_mask"],
                tensors["observation_mask"],
            )
            model.load_state_dict(tensors)
            tasks = [TaskInfo(**task) for task in about["tasks"]]
            if len(tasks) != len(model.task_embeddings):
                raise ValueError(f"{len(tasks)} tasks for {len(model.task_embeddings)} rows")
            planner = PlannerConfig(**about["planner"])
            discount_max = float(about["discount_max"])
        except RunError:
            raise
        except Exception as error:  # foreign names and sizes raise nearly anything
            raise RunError(
                f"{folder} is not a checkpoint of this agent ({one_line(error)})"
            ) from error
        return cls(model.to(device), tasks, name, planner, discount_max=discount_max)


def check_known(names: Sequence[str], known: Sequence[str]) -> None:
    """Checks that an agent knows tasks.

    Raises:
        RunError: It does not know one.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ", ".join(known[:6]) + (", ..." if len(known) > 6 else "")
        raise RunError(
            f"this agent was not trained on {', '.join(dict.fromkeys(unknown))}; its "
            f"{len(known)} tasks are {some}"
        )


def read_description(path: str | Path) -> tuple[str, str, list[str]]:
    """Reads what a checkpoint is, without its weights.

    Args:
        path: As of :meth:`Agent.load`.

    Returns:
        The name of its size (see :attr:`Agent.size`), of its text encoder, and of its tasks.

    Raises:
        RunError: There is no checkpoint, or it is damaged.
    """
    folder = checkpoint_folder(path)
    try:
        about = read_json(folder / DESCRIPTION)
        names = [task["name"] for task in about["tasks"]]
        return _size_name(ModelConfig(**about["model"])), about["encoder"]["name"], names
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder} is not a checkpoint of this agent ({one_line(error)})") from error


def _size_name(config: ModelConfig) -> str:
    return next((name for name, size in SIZES.items() if size == config), "custom")


def checkpoint_folder(path: str | Path) -> Path:
    """Resolves a checkpoint's folder, or a run's to its last checkpoint.

    Raises:
        RunError: There is neither.
    """
    folder = Path(path)
    try:
        if (folder / DESCRIPTION).is_file():
            return folder
        if (folder / CHECKPOINTS).is_dir():
            return RunFolder(folder).last_checkpoint()
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror}") from error
    raise RunError(
        f"no checkpoint at {folder}: give a run's folder, or one of its checkpoints/<step>"
    )


def _identity(folder: Path) -> tuple[Path, int]:
    """Tells a folder from another one that has its name later."""
    try:
        return folder, folder.stat().st_ino
    except OSError:  # gone since it was found
        return folder, 0
