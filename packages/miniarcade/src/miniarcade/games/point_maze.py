"""Point-maze: find the way to the goal, through walls and wind.

The action is the point's speed. Each step earns the more the nearer the goal is (as the crow
flies), up to 1; what is scored is whether the point is on the goal at the last step. In one free
cell a wind blows. The four variants are mazes of 5 x 5 cells.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, draw_decor_seed
from miniarcade.randomness import integer, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LOW, HIGH = 20, 204  # px, edges of the square arena
ARENA = HIGH - LOW  # px
CELLS = 5  # a side
CELL = ARENA / CELLS  # px

MAZES = {  # rows from top to bottom; "#" is a wall
    "var1": ("#.##.", "..#..", "#...#", "..#..", ".##.#"),
    "var2": (".##..", "....#", ".##..", "..##.", "#...."),
    "var3": (".###.", "..#..", "..#..", "#...#", "#####"),
    "var4": ("##.##", "#...#", ".....", "#...#", "##.##"),
}

RADIUS = 6  # px, of the point and of the goal
MARGIN = RADIUS + 1  # px
SPEED = 5.0  # px/step, of a full action
WIND = 2.0  # px/step
WINDS = ((0.0, -WIND), (WIND, 0.0), (0.0, WIND), (-WIND, 0.0))  # px/step: up, right, down, left
GOAL_DISTANCE = (0.2 * ARENA, 0.7 * ARENA)  # px
TRIES = 4000
REACHED = 2 * RADIUS  # px
ZERO_ON_REJECT = False


@dataclass(slots=True)
class PointMazeState(State):
    """See `State`."""

    x: float
    y: float
    goal_x: float
    goal_y: float
    wind_cell: int
    wind_way: int
    vx: float = 0.0
    vy: float = 0.0


class PointMaze(Game):
    action_size = 2
    observation_size = 44
    state_type = PointMazeState
    state: PointMazeState

    def __init__(self, maze: Literal["var1", "var2", "var3", "var4"] = "var1") -> None:
        rows = "".join(MAZES[maze])
        self.maze = maze
        self.grid = [1.0 if cell == "#" else 0.0 for cell in rows]
        self.free = [i for i, cell in enumerate(rows) if cell != "#"]
        self.walls = [
            (
                LOW + CELL * (i % CELLS) - RADIUS,
                LOW + CELL * (i // CELLS) - RADIUS,
                LOW + CELL * (i % CELLS + 1) + RADIUS,
                LOW + CELL * (i // CELLS + 1) + RADIUS,
            )
            for i, cell in enumerate(rows)
            if cell == "#"
        ]

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        wind_cell = self.free[integer(rng, 0, len(self.free) - 1)]
        wind_way = integer(rng, 0, 3)
        x, y = self._draw_point()
        gx, gy = self._draw_goal(x, y)
        self.state = PointMazeState(0, draw_decor_seed(rng), x, y, gx, gy, wind_cell, wind_way)

    def _draw_point(self):
        while True:
            x = uniform(self.rng, LOW + MARGIN, HIGH - MARGIN)
            y = uniform(self.rng, LOW + MARGIN, HIGH - MARGIN)
            if not self._blocked(x, y):
                return x, y

    def _draw_goal(self, x, y):
        for _ in range(TRIES):
            gx = uniform(self.rng, LOW + MARGIN, HIGH - MARGIN)
            gy = uniform(self.rng, LOW + MARGIN, HIGH - MARGIN)
            if (
                not self._blocked(gx, gy)
                and GOAL_DISTANCE[0] <= math.hypot(gx - x, gy - y) <= GOAL_DISTANCE[1]
            ):
                return gx, gy
        return SIZE / 2, SIZE / 2

    def _blocked(self, x, y):
        for l, t, r, b in self.walls:
            if l < x < r and t < y < b:
                return True
        return False

    def _cell(self):
        s = self.state
        return int((s.y - LOW) / CELL) * CELLS + int((s.x - LOW) / CELL)

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        vx, vy = SPEED * action[0], SPEED * action[1]
        if self._cell() == s.wind_cell:
            w = WINDS[s.wind_way]
            vx += w[0]
            vy += w[1]
        x = min(max(s.x + vx, LOW + MARGIN), HIGH - MARGIN)
        if self._blocked(x, s.y):
            if ZERO_ON_REJECT: vx = 0.0
        else:
            s.x = x
        y = min(max(s.y + vy, LOW + MARGIN), HIGH - MARGIN)
        if self._blocked(s.x, y):
            if ZERO_ON_REJECT: vy = 0.0
        else:
            s.y = y
        s.vx, s.vy = vx, vy
        return 1.0 - min(math.hypot(s.goal_x - s.x, s.goal_y - s.y) / ARENA, 1.0)

    def observe(self) -> list[float]:
        s = self.state
        grid = self.grid.copy()
        grid[s.wind_cell] = -1.0
        way = [0.0] * 4
        way[s.wind_way] = 1.0
        dx, dy = s.goal_x - s.x, s.goal_y - s.y
        d = math.hypot(dx, dy)
        cell = self._cell()
        inside = cell == s.wind_cell
        wx, wy = WINDS[s.wind_way] if inside else (0.0, 0.0)
        return [
            s.x / SIZE, s.y / SIZE, s.goal_x / SIZE, s.goal_y / SIZE, s.vx / SPEED, s.vy / SPEED,
            *grid, *way, dx / ARENA, dy / ARENA, d / ARENA, 1.0 if d <= REACHED else 0.0,
            1.0 if inside else 0.0, wx / SPEED, wy / SPEED, cell // CELLS / 4, cell % CELLS / 4,
        ]

    def success(self) -> float:
        s = self.state
        return 1.0 if math.hypot(s.goal_x - s.x, s.goal_y - s.y) <= REACHED else 0.0

    def draw(self, canvas: Canvas) -> None:
        """See `Game`."""
