"""The table of tasks. What Gymnasium, the command line and the documentation list is this."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import gymnasium as gym

from miniarcade.episode import linear_score

if TYPE_CHECKING:
    from miniarcade.game import Game
    from miniarcade.vector.game import VectorGame

NAMESPACE = "miniarcade"


@dataclass(frozen=True, slots=True)
class Task:
    """A game with an episode length and a score.

    Attributes:
        name: Such as `pong`; the id is `miniarcade/pong-v0`.
        game: Module in `miniarcade.games` and class, `"pong:Pong"`.
        goal: One line on what to do.
        kwargs: Arguments of the game's class: the variant.
        max_episode_steps: Length of every episode.
        score_low: Value that scores 0.
        score_high: Value that scores 1.
        score_metric: What is scored: the undiscounted return, or success at the last step.
        vector: Whether the game can also step many environments as arrays: `VectorPong` in the
            module of the same name in `miniarcade.vector`.
    """

    name: str
    game: str
    goal: str
    score_low: float
    score_high: float
    score_metric: Literal["return", "success"] = "return"
    max_episode_steps: int = 500
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    vector: bool = False

    @property
    def id(self) -> str:
        """The id for `gymnasium.make`."""
        return f"{NAMESPACE}/{self.name}-v0"

    def score(self, episode_return: float, success: float) -> float:
        """Scores an episode so far, in [0, 1], by its return or its last success."""
        if self.score_metric == "success":
            return success
        return linear_score(episode_return, self.score_low, self.score_high)

    def game_class(self) -> type[Game]:
        """The game's class; imports its module."""
        module, _, name = self.game.partition(":")
        return getattr(importlib.import_module(f"miniarcade.games.{module}"), name)

    def make_game(self) -> Game:
        """A new game of this task."""
        return self.game_class()(**self.kwargs)

    def make_vector_game(self, num_envs: int) -> VectorGame:
        """New games of this task as arrays; imports their module.

        Raises:
            ValueError: If the task has none.
        """
        if not self.vector:
            raise ValueError(
                f"{self.id} has no vector game; those that have one: "
                f"{[task.name for task in TASKS if task.vector]}"
            )
        module, _, name = self.game.partition(":")
        games = importlib.import_module(f"miniarcade.vector.{module}")
        return getattr(games, f"Vector{name}")(self.make_game(), num_envs)


TASKS: tuple[Task, ...] = (
    Task("cowboy", "cowboy:Cowboy", "Jump over the cacti.", 0, 500, vector=True),
    Task("coinrun", "coinrun:CoinRun", "Jump for the coins.", 0, 50),
    Task(
        "spaceship",
        "spaceship:Spaceship",
        "Gather the coins and avoid the asteroids.",
        0,
        60,
        vector=True,
    ),
    Task("pong", "pong:Pong", "Play the ball past the other paddle.", -3, 3, vector=True),
    Task("bird-attack", "bird_attack:BirdAttack", "Shoot down all birds, quickly.", 0, 16),
    Task("highway", "highway:Highway", "Keep to the lanes and do not crash.", 0, 10),
    Task(
        "landing",
        "landing:Landing",
        "Land the helicopter on the ship's flag.",
        0,
        200,
        max_episode_steps=200,
    ),
    Task("air-hockey", "air_hockey:AirHockey", "Play the puck into the upper goal.", 0, 10),
    Task(
        "rocket-collect",
        "rocket_collect:RocketCollect",
        "Fly to the coins and avoid the asteroids.",
        0,
        25,
    ),
    Task(
        "chase-evade",
        "chase_evade:ChaseEvade",
        "Catch the other gnome, or keep away from it.",
        -50,
        50,
    ),
    Task(
        "coconut-dodge",
        "coconut_dodge:CoconutDodge",
        "Keep out of the way of falling coconuts.",
        -15,
        0,
    ),
    Task("cartpole-balance", "cartpole:CartPole", "Keep the pole upright.", 0, 500, vector=True),
    Task(
        "cartpole-swingup",
        "cartpole:CartPole",
        "Swing the pole up and keep it upright.",
        0,
        500,
        kwargs={"start": "down"},
        vector=True,
    ),
    Task(
        "cartpole-balance-sparse",
        "cartpole:CartPole",
        "Keep the pole upright; reward only close to it.",
        0,
        500,
        kwargs={"sparse": True},
        vector=True,
    ),
    Task(
        "cartpole-swingup-sparse",
        "cartpole:CartPole",
        "Swing the pole up; reward only close to upright.",
        0,
        500,
        kwargs={"start": "down", "sparse": True},
        vector=True,
    ),
    Task(
        "cartpole-tremor",
        "cartpole:CartPole",
        "Keep the pole upright through tremors.",
        0,
        500,
        kwargs={"tremor": True},
        vector=True,
    ),
    *(
        Task(
            f"point-maze-{maze}",
            "point_maze:PointMaze",
            "Find the way to the goal and stay there.",
            0,
            1,
            score_metric="success",
            max_episode_steps=200,
            kwargs={"maze": maze},
            vector=True,
        )
        for maze in ("var1", "var2", "var3", "var4")
    ),
    Task(
        "reacher-hard",
        "reacher:Reacher",
        "Hold the tip of the arm on the small target.",
        0,
        200,
        max_episode_steps=200,
        kwargs={"hard": True},
        vector=True,
    ),
    Task(
        "reacher-easy",
        "reacher:Reacher",
        "Hold the tip of the arm on the target.",
        0,
        200,
        max_episode_steps=200,
        vector=True,
    ),
)


def tasks() -> tuple[Task, ...]:
    """All tasks, in the order of the table."""
    return TASKS


def get_task(name: str) -> Task:
    """The task with a name (`pong`) or id (`miniarcade/pong-v0`).

    Raises:
        ValueError: If there is none.
    """
    for task in TASKS:
        if name in (task.name, task.id):
            return task
    raise ValueError(f"there is no task {name!r}; the nearest are {', '.join(_nearest(name))}")


def _nearest(name: str) -> list[str]:
    """Names of tasks that `name` may have meant."""
    names = [task.name for task in TASKS]
    wanted = name.lower().removeprefix(f"{NAMESPACE}/").removesuffix("-v0").replace("_", "-")
    begun = [known for known in names if wanted and known.startswith(wanted)]
    return begun or difflib.get_close_matches(wanted, names, n=3, cutoff=0.0)


def register_all() -> None:
    """Registers every task with Gymnasium.

    Without `max_episode_steps`: the environment ends its episodes itself, because a `TimeLimit`
    around it would count past a restored state.
    """
    for task in TASKS:
        if task.id not in gym.registry:
            gym.register(
                task.id,
                entry_point="miniarcade.arcade:ArcadeEnv",
                vector_entry_point="miniarcade.vector:VectorArcadeEnv" if task.vector else None,
                kwargs={"task": task.name},
            )
