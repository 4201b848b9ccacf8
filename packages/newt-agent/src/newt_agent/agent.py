"""An agent: networks, the tasks they know, and one method to act, whatever trained it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import LARGEST, Task, is_usable
from mmbench.language import embed, encoder_dim
from mmbench.runs import RunError, RunFolder, one_line, read_json, verify_folder, write_json
from mmbench.runs.folder import CHECKPOINTS
from newt_agent.config import ObsMode
from newt_agent.finite import BrokenAgentError, UnusableNumberError
from newt_agent.methods import find_method
from newt_agent.task_input import reads_instructions
from newt_agent.task_module import TABLES, TaskModule, TaskTables, task_tables
from newt_agent.tensors import load_tensors, save_tensors

WEIGHTS = "model.safetensors"
DESCRIPTION = "agent.json"


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

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> tuple[TaskInfo, ...]:
        """Reads it from tasks of the benchmark."""
        return tuple(cls(t.versioned_name, t.instruction, t.discount) for t in tasks)


class Agent(ABC):
    """Networks that choose actions for their tasks. :meth:`load` opens any method's checkpoint.

    Args:
        model: The networks; the rows of their task tables are in the order of ``tasks``.
        tasks: What the rows are.
        encoder: Name of the text encoder that made the table of embeddings; or another of the
            ``TASK_INPUTS``.
        size: Name of the networks' size.
        discount_max: The largest discount to learn and plan with; see :meth:`limit_discount`.

    Attributes:
        discount: ``[tasks]``, what is learned and planned with.
    """

    method: ClassVar[str]
    """Name of the method that trains it."""
    fixed: ClassVar[tuple[str, ...]] = ()
    """Entries of its own description that are settings of a run too: the networks have to fit."""

    def __init__(
        self,
        model: TaskModule,
        tasks: Sequence[TaskInfo],
        encoder: str,
        size: str,
        discount_max: float = 1.0,
    ) -> None:
        self.model = model
        self.tasks = tuple(tasks)
        self.encoder = encoder
        self.size = size
        self._index = {task.name: i for i, task in enumerate(self.tasks)}
        self.discount = torch.empty(len(self.tasks), device=self.device)
        self.limit_discount(discount_max)

    @property
    def device(self) -> torch.device:
        """Where the networks compute."""
        return self.model.action_mask.device

    @property
    def language_dim(self) -> int:
        """Entries of the instructions' embeddings that the networks read; 0 if they read none."""
        return self.model.task_embeddings.shape[1] if reads_instructions(self.encoder) else 0

    @property
    def row_entries(self) -> int:
        """Entries of a row that :meth:`see` returns."""
        return self.model.observation_mask.shape[1]

    @property
    def obs(self) -> ObsMode:
        """What it sees of an environment: its setting ``obs``."""
        return "state"

    def see(self, obs: Any) -> np.ndarray:
        """Makes rows of what environments return, as `act_on` and training take them.

        Args:
            obs: Of B environments with the setting ``obs``.

        Returns:
            ``[B, 128]``; more entries of an agent that sees frames.
        """
        return obs

    def seen(self, env: Any) -> Any:
        """A vector environment with the setting ``obs``, whose observations are such rows."""
        return env

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a run that the networks depend on."""
        return _settings(self.describe(), type(self))

    def limit_discount(self, largest: float) -> None:
        """Learns and plans with at most this discount in every task.

        The tasks keep their own discounts, so a later call may raise the limit again.
        """
        self.discount_max = largest
        own = torch.tensor([task.discount for task in self.tasks])
        self.discount.copy_(own.clamp(max=largest))  # in place, for the method holds it too

    def add_tasks(self, tasks: Sequence[Task]) -> None:
        """Adds tasks that it was not trained on; it knows of them what their instructions say.

        Args:
            tasks: Those that it knows already stay as they are.

        Raises:
            RunError: It reads no instructions, so there is nothing that it could go by.
            EncoderUnavailableError: An instruction is new, and the text encoder is not here.
        """
        new = [task for task in tasks if task.versioned_name not in self._index]
        if not new:
            return
        if not self.language_dim:
            check_known([task.versioned_name for task in new], list(self._index))
        self.model.add_tasks(*task_tables(new, self.encoder))
        self.tasks += TaskInfo.of(new)
        self._index = {task.name: i for i, task in enumerate(self.tasks)}
        self.discount = torch.empty(len(self.tasks), device=self.device)
        self.limit_discount(self.discount_max)

    def instruct(self, tasks: Sequence[str], instruction: str) -> None:
        """Gives tasks another instruction, until the agent is loaded again.

        Raises:
            RunError: The agent reads no instructions, or does not know a task; or the instruction
                is empty.
            EncoderUnavailableError: The instruction is new, and the text encoder is not here.
        """
        if not instruction.strip():
            raise RunError("the other instruction is empty")
        if not self.language_dim:
            raise RunError(f"an agent that reads no instructions cannot follow {instruction!r}")
        rows = self.index(tasks)
        embedding = torch.from_numpy(embed([instruction], encoder=self.encoder)[0])
        self.model.task_embeddings[rows] = embedding.to(self.device)

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
        obs: Any,
        tasks: Sequence[str],
        first: np.ndarray | Tensor,
        explore: bool = False,
        generator: torch.Generator | None = None,
    ) -> np.ndarray:
        """Chooses an action for each row.

        Args:
            obs: [B, 128], padded observations; or what B environments with the agent's ``obs``
                return, frames [B, 224, 224, 3] or a dict of states and frames.
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
        obs = self.see(obs)
        shapes = tuple(np.shape(obs)), tuple(np.shape(first))
        width = self.row_entries
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
        """Like `act`, with rows of :meth:`see`, and of the task table instead of names."""
        obs = torch.as_tensor(obs, dtype=torch.float32, device=self.device)
        first = torch.as_tensor(first, device=self.device)
        result = self._choose(obs, task, first, explore, generator).cpu().numpy()
        self.check_actions(result, obs, task)
        return result

    @abstractmethod
    def _choose(
        self,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        explore: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Chooses actions, ``[B, 16]``, 0 at masked entries; arguments on the device."""

    def check_actions(self, action: np.ndarray, obs: Tensor, task: Tensor) -> None:
        """Raises where an action is not finite, and says whether observation or weights are wrong.

        Raises:
            UnusableNumberError: An observation is NaN or beyond 1e18.
            BrokenAgentError: The weights are such that an action is NaN.
        """
        if np.isfinite(action).all():
            return
        row = int(np.flatnonzero(~np.isfinite(action).all(1))[0])
        name = self.tasks[int(task[row])].name
        mask = self.model.observation_mask[task[row]].cpu().numpy()
        values = obs[row, : len(mask)].cpu().numpy()
        unusable = ~is_usable(values) & mask
        if unusable.any():
            entry = int(np.flatnonzero(unusable)[0])
            raise UnusableNumberError(
                f"the observation of task {name!r} (row {row}) holds {values[entry]!s} in entry "
                f"{entry}; the magnitude may be {LARGEST:g} at most"
            )
        raise BrokenAgentError(f"the action for task {name!r} is NaN: the weights are broken")

    def policy(self, task: str, seed: int = 0) -> Callable[[Any, bool], np.ndarray]:
        """Returns a function that acts in one environment, without the noise of training.

        Args:
            task: Name of the task.
            seed: Of the agent's own chance, such as a planner's noise.

        Returns:
            A function from an observation (128,), or what one environment with the agent's ``obs``
            returns, and whether an episode starts with it to an action (16,). It uses the memory of
            this agent, if it has one: one environment at a time.

        Raises:
            RunError: The agent does not know the task.
        """
        self.index([task])
        generator = torch.Generator(self.device).manual_seed(seed)
        return lambda obs, first: self.act(
            {name: part[None] for name, part in obs.items()}
            if isinstance(obs, Mapping)
            else obs[None],
            [task],
            np.array([first]),
            generator=generator,
        )[0]

    # Saving and loading

    def save(self, folder: Path) -> None:
        """Writes the weights and the description of the agent into a folder."""
        save_tensors(folder / WEIGHTS, self.model.state_dict())
        write_json(folder / DESCRIPTION, self.describe())

    def describe(self) -> dict[str, Any]:
        """Returns all that is needed to build the agent again, as plain values."""
        return {
            "method": self.method,
            "size": self.size,
            "encoder": {"name": self.encoder, "dim": self.language_dim},
            "discount_max": self.discount_max,
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
            **self._own_description(),
        }

    @abstractmethod
    def _own_description(self) -> dict[str, Any]:
        """Returns what :meth:`_networks` needs to know, as plain values."""

    @classmethod
    @abstractmethod
    def _networks(cls, about: dict[str, Any], tables: TaskTables) -> TaskModule:
        """Makes the networks of a saved agent, on the CPU; their weights are loaded afterwards.

        May raise anything where the arguments do not fit.

        Args:
            about: What :meth:`describe` returned.
            tables: The saved tables of tasks.
        """

    @classmethod
    def _build(
        cls,
        about: dict[str, Any],
        model: Any,
        tasks: Sequence[TaskInfo],
        encoder: str,
        size: str,
    ) -> Agent:
        """Makes a saved agent of its networks; ``about`` is what :meth:`describe` returned."""
        return cls(model, tasks, encoder, size)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Agent:
        """Loads the agent of a checkpoint, whatever method has trained it.

        Args:
            folder: A checkpoint's folder, or that of a run (then its last checkpoint).
            device: Where the networks compute.

        Raises:
            RunError: There is no complete checkpoint, it is damaged, or no installed package has
                its method.
        """
        while True:
            found = checkpoint_folder(folder)
            identity = _identity(found)
            try:
                return _read(found, device)
            except RunError:
                # A run that is on may have put another one in its place meanwhile.
                if _identity(checkpoint_folder(folder)) == identity:
                    raise


def _read(folder: Path, device: torch.device | str) -> Agent:
    verify_folder(folder, (DESCRIPTION, WEIGHTS))
    about = read_json(folder / DESCRIPTION)
    try:
        tensors = load_tensors(folder / WEIGHTS)
        kind = find_method(about["method"]).agent_class
        name, dim = about["encoder"]["name"], about["encoder"]["dim"]
        if dim and dim != encoder_dim(name):
            raise RunError(
                f"{folder}: its task embeddings have {dim} entries, but the encoder {name!r} "
                f"gives {encoder_dim(name)}"
            )
        tasks = [TaskInfo(**task) for task in about["tasks"]]
        # Copies: the tensors of a file lie at any address, and where numbers lie decides on some
        # processors in which order they are summed up.
        embeddings, action_mask, observation_mask = (tensors[table].clone() for table in TABLES)
        model = kind._networks(about, (embeddings, action_mask, observation_mask))
        model.load_state_dict(tensors)
        agent = kind._build(about, model, tasks, name, str(about["size"]))
        if len(tasks) != agent.model.num_tasks:
            raise ValueError(f"{len(tasks)} tasks for {agent.model.num_tasks} rows")
        agent.model.to(device)
        agent.discount = agent.discount.to(device)
        agent.limit_discount(float(about["discount_max"]))
    except RunError:
        raise
    except Exception as error:  # foreign names and sizes raise nearly anything
        raise RunError(f"{folder} is not a checkpoint of an agent ({one_line(error)})") from error
    return agent


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


class Description(NamedTuple):
    """What a checkpoint is, without its weights: see the arguments of :class:`Agent`."""

    method: str
    settings: dict[str, Any]
    tasks: tuple[str, ...]
    reads_language: bool


def read_description(path: str | Path) -> Description:
    """Reads what a checkpoint is.

    Args:
        path: As of :meth:`Agent.load`.

    Raises:
        RunError: There is no checkpoint, or it is damaged.
    """
    folder = checkpoint_folder(path)
    try:
        about = read_json(folder / DESCRIPTION)
        names = tuple(task["name"] for task in about["tasks"])
        kind = find_method(about["method"]).agent_class
        language = about["encoder"]["dim"] > 0
        return Description(about["method"], _settings(about, kind), names, language)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder} is not a checkpoint of an agent ({one_line(error)})") from error


def _settings(about: dict[str, Any], kind: type[Agent]) -> dict[str, Any]:
    # Without a value, the networks do not depend on it.
    own = {name: about[name] for name in kind.fixed if about.get(name) is not None}
    return {"size": about["size"], "encoder": about["encoder"]["name"], **own}


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
    """Identifies a folder, so that a later one of the same name counts as another."""
    try:
        return folder, folder.stat().st_ino
    except OSError:  # gone since it was found
        return folder, 0
