"""Mazes: the shortest way along free cells, cut short where the straight line is free.

OGBench's points and MiniArcade's point-mazes. Everything needed is in the observation: position,
goal and, in the arcade, walls and wind.
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Sequence

import numpy as np

from miniarcade.games import point_maze
from mmbench.catalog import Task
from mmbench.demos.experts import Expert
from mmbench.domains import ogbench_mazes
from mmbench.env import TaskEnv

Cell = tuple[int, int]
"""Row and column."""

_CORNERS = np.array(((-1, -1), (-1, 1), (1, -1), (1, 1)))


class Maze:
    """Square cells, some of them walls, and a round body that has to pass.

    Args:
        walls: Rows of cells, true where there is a wall. Beyond the last rows and columns there
            are walls, too.
        unit: Side of a cell.
        origin: x and y of the corner of cell (0, 0).
        radius: Of the body, with some room to spare.
    """

    def __init__(
        self, walls: Sequence[Sequence[bool]], unit: float, origin: float, radius: float
    ) -> None:
        self._walls = np.pad(np.array(walls, bool), 1, constant_values=True)
        self._unit = unit
        self._origin = origin
        self._radius = radius

    def target(self, place: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Returns where to head for: the farthest point of the way that a straight line reaches.

        Args:
            place: Of the body, (2,).
            goal: Where it shall go, (2,), in a cell that can be reached.
        """
        cells = self._way(self._cell(place), self._cell(goal))
        if len(cells) == 1:
            return goal
        points = [*(self._centre(cell) for cell in cells), goal]
        for point in reversed(points):
            if self._is_free(place, point):
                return point
        return points[0]  # off the walls first, into the middle of the cell

    def _way(self, start: Cell, goal: Cell) -> list[Cell]:
        """Returns the cells from the start to the goal, both included (breadth first)."""
        came_from = {goal: goal}
        queue = deque([goal])
        while queue and start not in came_from:
            i, j = cell = queue.popleft()
            for neighbour in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if neighbour not in came_from and not self._is_wall(neighbour):
                    came_from[neighbour] = cell
                    queue.append(neighbour)
        way = [start]
        while way[-1] != goal:
            way.append(came_from[way[-1]])
        return way

    def _is_free(self, start: np.ndarray, end: np.ndarray) -> bool:
        """Whether the body's box passes no wall on the straight line."""
        count = 2 + int(np.abs(end - start).max() / (0.1 * self._unit))
        places = np.linspace(start, end, count)[:, None] + self._radius * _CORNERS
        columns, rows = np.floor((places - self._origin) / self._unit).astype(int).T
        return not self._walls[rows + 1, columns + 1].any()

    def _is_wall(self, cell: Cell) -> bool:
        return bool(self._walls[cell[0] + 1, cell[1] + 1])

    def _cell(self, place: np.ndarray) -> Cell:
        j, i = np.floor((place - self._origin) / self._unit).astype(int).tolist()
        return i, j

    def _centre(self, cell: Cell) -> np.ndarray:
        i, j = cell
        return self._origin + self._unit * (np.array((j, i)) + 0.5)


def ogbench_maze(task: Task, radius: float) -> Maze:
    """Returns the maze of one of OGBench's tasks, for a body of this radius (m)."""
    rows = ogbench_mazes.MAPS[task.native.partition("/")[2]].split()
    walls = [[mark == "#" for mark in row] for row in rows]
    return Maze(walls, ogbench_mazes.UNIT, origin=-1.5 * ogbench_mazes.UNIT, radius=radius)


class MazeRunner(Expert):
    """Heads for the farthest visible point of the shortest way, at full speed; stops there."""

    name = "path search and proportional control"

    stride: float
    """Length of a step with a full action, along either axis."""

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Reads the maze."""
        self._maze = self._read_maze(env, obs)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Heads on."""
        place, goal, drift = self._read(obs.astype(np.float64))
        step = (self._maze.target(place, goal) - place) / self.stride
        step /= max(1.0, np.abs(step).max())  # slower, but in the same direction
        return np.clip(step - drift, -1.0, 1.0)

    @abc.abstractmethod
    def _read_maze(self, env: TaskEnv, obs: np.ndarray) -> Maze:
        """Returns the maze of the episode."""

    @abc.abstractmethod
    def _read(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns place, goal, and what the wind adds to the action: (2,) each."""


class OGBenchPoint(MazeRunner):
    """OGBench's point, whose action is a displacement."""

    def _read_maze(self, env: TaskEnv, obs: np.ndarray) -> Maze:
        from mmbench.domains.ogbench import PointMaze  # needs the package, the arcade does not

        self._scale = PointMaze.SCALE
        self.stride = PointMaze.STRIDE * env.task.action_repeat
        return ogbench_maze(env.task, radius=0.8)

    def _read(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return obs[:2] * self._scale, obs[4:6] * self._scale, np.zeros(2)


class ArcadePoint(MazeRunner):
    """MiniArcade's point, whose action is its speed."""

    stride = point_maze.SPEED

    def _read_maze(self, env: TaskEnv, obs: np.ndarray) -> Maze:
        cells = obs[6:31].reshape(point_maze.CELLS, point_maze.CELLS)
        radius = point_maze.RADIUS + 1.0
        return Maze(cells == 1.0, point_maze.CELL, origin=point_maze.LOW, radius=radius)

    def _read(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return obs[:2] * point_maze.SIZE, obs[2:4] * point_maze.SIZE, obs[-4:-2]
