"""Experts: what plays the episodes that demonstrations are made of.

An expert is a class in a module of this package, and a row of :data:`TABLE`. To add one, write the
class, add its row, and run ``mmbench demos collect --tasks <task> --root <folder>``.
"""

from __future__ import annotations

import abc
import fnmatch
import inspect
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from mmbench.catalog import get, tasks
from mmbench.catalog.modules import import_module
from mmbench.env import TaskEnv
from mmbench.runs import RunError

TABLE: tuple[tuple[str, str], ...] = (
    ("mw-*", "metaworld:ScriptedPolicy"),
    ("og-point-*", "maze:OGBenchPoint"),
    ("og-antball", "mpc:MPC"),
    ("og-ant", "mpc:GuidedMPC"),
    ("og-ant-*", "mpc:GuidedMPC"),
    ("pygame-point-maze-*", "maze:ArcadePoint"),
    ("pygame-cartpole-*", "balance:ArcadeCartPole"),
    ("pygame-coinrun", "arcade:CoinRun"),
    ("pygame-cowboy", "arcade:Cowboy"),
    ("pygame-landing", "arcade:Landing"),
    ("pygame-pong", "arcade:Pong"),
    ("pygame-reacher-*", "arms:ArcadeArm"),
    ("pygame-*", "mpc:MPC"),
    ("cartpole-*", "balance:MujocoBalance"),
    ("pendulum-swingup", "balance:Pendulum"),
    ("pendulum-spin", "balance:SpinningPendulum"),
    ("mujoco-inverted-pendulum", "balance:MujocoBalance"),
    ("reacher-three-*", "arms:ThreeLinkArm"),
    ("reacher-*", "arms:SuiteArm"),
    ("mujoco-reacher", "arms:GymArm"),
    ("acrobot-swingup", "mpc:MPC"),
    ("cup-catch", "mpc:MPC"),
    ("cup-spin", "mpc:MPC"),
    ("cheetah-run-back", "mpc:TrainedMPC"),
    ("cheetah-run-front", "mpc:TrainedMPC"),
    ("cheetah-*", "mpc:MPC"),
    ("fish-swim", "mpc:MPC"),
    ("giraffe-run", "mpc:MPC"),
    ("jumper-jump", "mpc:MPC"),
    ("spinner-*", "mpc:MPC"),
    ("quadruped-*", "mpc:MPC"),
    ("mujoco-walker", "mpc:MPC"),
    ("mujoco-hopper", "trained:Trained"),
    ("mujoco-halfcheetah", "mpc:MPC"),
    ("finger-spin", "trained:Trained"),
    ("finger-turn-*", "mpc:MPC"),
    ("walker-stand", "mpc:MPC"),
    ("walker-walk", "mpc:MPC"),
    ("walker-run", "mpc:MPC"),
    ("walker-run-backward", "mpc:MPC"),
    ("walker-walk-backward", "mpc:MPC"),
    ("walker-stand-incline", "mpc:MPC"),
    ("walker-walk-incline", "mpc:MPC"),
    ("atari-*", "mpc:GameMPC"),
    ("ms-reach", "maniskill:Reach"),
    ("ms-reach-eepose", "maniskill:Reach"),
    ("ms-push-cube", "maniskill:Push"),
    ("ms-pull-cube", "maniskill:Pull"),
    ("ms-pick-cube", "maniskill:Pick"),
    ("ms-pick-cube-eepose", "maniskill:Pick"),
    ("ms-pick-cube-so", "small_arm:PickSmall"),
    ("ms-stack-cube", "maniskill:Stack"),
    ("ms-poke-cube", "maniskill:Poke"),
    ("ms-pull-cube-tool", "maniskill:PullWithTool"),
    ("ms-lift-peg", "mpc:ApartMPC"),
    ("ms-hopper-stand", "mpc:ApartMPC"),
    ("ms-cartpole-*", "balance:ManiSkillCartPole"),
    ("ms-place-sphere", "maniskill:PlaceSphere"),
    ("rd-push-*", "robodesk:PushButton"),
    ("rd-open-slide*", "robodesk:OpenSlide"),
    ("rd-flat-block-in-bin*", "robodesk:PutInBin"),
    ("rd-open-drawer*", "mpc:MPC"),
    ("bipedal-walker-*", "mpc:TwinMPC"),
    ("lunarlander-land*", "lander:PadLander"),
    ("lunarlander-*", "lander:Lander"),
)
"""Names of tasks or globs over them, and the expert's ``module:class`` below this package. The
first row that matches counts."""


class NoExpertError(RunError):
    """Nobody has written an expert for a task."""


class Expert(abc.ABC):
    """Plays episodes of one task.

    The environment is the expert's own, made with ``unify=False``: it may look into its simulator
    and try actions out by ``get_state`` and ``set_state``, as long as it leaves the state as it
    was. The recorder steps it with the action that :meth:`act` returns, rounded to float16, and
    plays the same actions in another environment, whose episode is the one that is stored.

    Attributes:
        name: What the demonstration's metadata call it, in a few words.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Starts an episode; may plan all of it.

        Args:
            env: The environment, just reset.
            obs: Its first observation, (obs_dim,) float32.
            rng: The source of all the expert's random numbers in this episode.
        """

    @abc.abstractmethod
    def act(self, obs: np.ndarray) -> np.ndarray:
        """Chooses an action.

        Args:
            obs: The current observation, (obs_dim,) float32.

        Returns:
            (action_dim,); what is outside [-1, 1] is clipped.
        """


def on_grid(action: np.ndarray) -> np.ndarray:
    """Rounds an action to what a tape can hold: float16 in [-1, 1]."""
    return np.clip(action, -1.0, 1.0).astype(np.float16)


def expert_for(task: str) -> Callable[[], Expert]:
    """Returns what makes the expert of a task.

    Args:
        task: Its name, with the version where it is not 0.

    Raises:
        UnknownTaskError: There is no such task.
        NoExpertError: There is no expert for it; the message names those of its domain that have.
    """
    return load_expert(find_expert(task))


def find_expert(task: str) -> str:
    """Returns the expert of a task as ``module:class``; see :func:`expert_for`."""
    record = get(task)
    name = record.versioned_name
    for pattern, expert in TABLE:
        if fnmatch.fnmatchcase(name, pattern):
            return f"{__name__}.{expert}"
    others = [other for other in tasks_with_expert() if get(other).domain == record.domain]
    raise NoExpertError(
        f"no expert plays {name!r}: name one with --expert MODULE:CLASS, or leave it out; of "
        f"{record.domain}, experts play {', '.join(others) or 'no task'}"
    )


def load_expert(name: str) -> type[Expert]:
    """Imports an expert.

    Args:
        name: ``module:class``; the module may lie in the current folder.

    Raises:
        InvalidTaskError: The module cannot be imported.
        NoExpertError: There is no such class in it, or it is no expert.
    """
    module, _, made_by = name.partition(":")
    expert = getattr(import_module(module), made_by, None) if made_by else None
    if not (isinstance(expert, type) and issubclass(expert, Expert)):
        raise NoExpertError(
            f"{name!r} is no expert: give MODULE:CLASS, a subclass of {Expert.__module__}.Expert"
        )
    called = getattr(expert, "name", None)
    if not isinstance(called, str) or not called.strip():
        raise NoExpertError(f"{name!r} needs a name, a few words on how it plays: {called!r}")
    if inspect.isabstract(expert):
        lacking = ", ".join(sorted(expert.__abstractmethods__))
        raise NoExpertError(f"{name!r} is no whole expert: it lacks {lacking}")
    return expert


def tasks_with_expert() -> tuple[str, ...]:
    """Returns the names of the benchmark's tasks that have an expert, in the catalogue's order."""
    names = (task.versioned_name for task in tasks(version=None))
    patterns = [pattern for pattern, _ in TABLE]
    return tuple(name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns))
