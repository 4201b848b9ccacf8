"""Point-maze: find the way to the goal, through walls and wind.

The action is the point's speed. A step earns up to 1, more the nearer the goal is (as the crow
flies). The score is whether the point is on the goal at the last step. A wind blows in one of the
free cells. Walls block the moves along x and along y separately, so the point slides along them.
The variants are four mazes.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import BLACK, GREEN, ORANGE, WHITE, fade, mix
from miniarcade.rules import integer, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LOW, HIGH = 20, 204  # px, edges of the square arena
ARENA = HIGH - LOW  # px
CELLS = 5  # a side
CELL = ARENA / CELLS  # px
# px, boxes of the walls and of the wind, in whole pixels: left or top of each, and their side.
# As floats, which compare faster with positions.
EDGES = tuple(float(round(LOW + CELL * i)) for i in range(CELLS))
SIDE = float(round(CELL))

Maze = Literal["var1", "var2", "var3", "var4"]
# Rows from top to bottom, "#" is a wall.
MAZES: dict[Maze, tuple[str, ...]] = {
    "var1": ("#.##.", "..#..", "#...#", "..#..", ".##.#"),
    "var2": (".##..", "....#", ".##..", "..##.", "#...."),
    "var3": (".###.", "..#..", "..#..", "#...#", "#####"),
    "var4": ("##.##", "#...#", ".....", "#...#", "##.##"),
}

RADIUS = 6  # px, of the point and of the goal
FIRST, LAST = float(LOW + RADIUS + 1), float(HIGH - RADIUS - 1)  # px, the point stays between
START = (FIRST + 1, LAST - 1)  # px, where point and goal start, least and most
SPEED = 5.0  # px/step, of a full action
WIND = 2.0  # px/step
WINDS = ((0.0, -WIND), (WIND, 0.0), (0.0, WIND), (-WIND, 0.0))  # px/step: up, right, down, left
GOAL_DISTANCE = (0.2 * ARENA, 0.7 * ARENA)  # px, of the goal from the start, least and most
TRIES = 4000  # to place the point and to place the goal, then they are in the centre
REACHED = 2 * RADIUS  # px, distance of the centres

TRAIL = 10  # past positions that are seen


def box(cell: int, margin: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in px, of a cell and a margin around it.

    What lies on the right or on the bottom edge is outside.
    """
    left, top = EDGES[cell % CELLS], EDGES[cell // CELLS]
    return left - margin, top - margin, left + SIDE + margin, top + SIDE + margin


WIND_BOXES = tuple(box(cell, 0) for cell in range(CELLS * CELLS))


@dataclass(slots=True)
class PointMazeState(State):
    x: float  # px, centre of the point
    y: float  # px
    goal_x: float  # px
    goal_y: float  # px
    wind_cell: int  # row * CELLS + column
    wind: int  # index into WINDS
    trail: list[float]  # px, x and y of the last positions, the oldest first
    vx: float = 0.0  # px/step, with the wind, also where a wall is in the way
    vy: float = 0.0  # px/step


class PointMaze(Game):
    """Find the way to the goal."""

    action_size = 2
    observation_size = 44
    state_type = PointMazeState
    state: PointMazeState

    def __init__(self, maze: Maze) -> None:
        """Chooses the variant.

        Args:
            maze: One of `MAZES`.
        """
        self.maze = maze
        cells = "".join(MAZES[maze])
        self.grid = [1.0 if cell == "#" else 0.0 for cell in cells]
        # Left, top, right and bottom of the walls, in px, where the point's centre cannot be.
        self._walls = [box(i, RADIUS) for i, cell in enumerate(cells) if cell == "#"]

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        free = [i for i, wall in enumerate(self.grid) if not wall]
        wind_cell, wind = free[integer(rng, 0, len(free) - 1)], integer(rng, 0, 3)
        x, y = self._sample_start()
        goal_x, goal_y = self._sample_goal(x, y)
        self.state = PointMazeState(
            t=0,
            decor_seed=sample_decor_seed(rng),
            x=x,
            y=y,
            goal_x=goal_x,
            goal_y=goal_y,
            wind_cell=wind_cell,
            wind=wind,
            trail=[],
        )

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        x, y = s.x, s.y
        trail = s.trail
        if len(trail) == 2 * TRAIL:
            del trail[:2]
        trail += (x, y)

        vx, vy = SPEED * action[0], SPEED * action[1]
        if _in_wind(x, y, s.wind_cell):
            wind_x, wind_y = WINDS[s.wind]
            vx += wind_x
            vy += wind_y
        s.vx, s.vy = vx, vy
        new = x + vx
        new = FIRST if new < FIRST else LAST if new > LAST else new
        if not self._blocked(new, y):
            x = new
        new = y + vy
        new = FIRST if new < FIRST else LAST if new > LAST else new
        if not self._blocked(x, new):
            y = new
        s.x, s.y = x, y
        distance = math.hypot(s.goal_x - x, s.goal_y - y)
        return 1.0 - distance / ARENA if distance < ARENA else 0.0

    def observe(self) -> list[float]:
        """Point, goal, velocity, grid, direction of the wind, way to the goal, wind felt, cell.

        The grid goes row by row: 1 for a wall, -1 for the cell with the wind, else 0. After the
        way to the goal come its length and whether the goal is reached; before the wind felt,
        whether the point is in it.
        """
        s = self.state
        x, y = s.x, s.y
        dx, dy = s.goal_x - x, s.goal_y - y
        distance = math.hypot(dx, dy)
        cell = _cell(x, y)
        felt = _in_wind(x, y, s.wind_cell)
        wind_x, wind_y = WINDS[s.wind] if felt else (0.0, 0.0)
        observation = [
            x / SIZE,
            y / SIZE,
            s.goal_x / SIZE,
            s.goal_y / SIZE,
            s.vx / SPEED,
            s.vy / SPEED,
            *self.grid,
            0.0,
            0.0,
            0.0,
            0.0,
            dx / ARENA,
            dy / ARENA,
            distance / ARENA,
            1.0 if distance <= REACHED else 0.0,
            1.0 if felt else 0.0,
            wind_x / SPEED,
            wind_y / SPEED,
            cell // CELLS / (CELLS - 1),
            cell % CELLS / (CELLS - 1),
        ]
        observation[6 + s.wind_cell] = -1.0
        observation[31 + s.wind] = 1.0
        return observation

    def success(self) -> float:
        """1.0 on the goal, else 0.0."""
        s = self.state
        return 1.0 if math.hypot(s.goal_x - s.x, s.goal_y - s.y) <= REACHED else 0.0

    def _blocked(self, x: float, y: float) -> bool:
        """Whether a wall is in the way of a point at (x, y)."""
        for left, top, right, bottom in self._walls:
            if left <= x < right and top <= y < bottom:
                return True
        return False

    def _sample_position(self) -> tuple[float, float]:
        """A random point of the arena, walls included."""
        return uniform(self.rng, *START), uniform(self.rng, *START)

    def _sample_start(self) -> tuple[float, float]:
        """A free point."""
        for _ in range(TRIES):
            x, y = self._sample_position()
            if not self._blocked(x, y):
                return x, y
        return SIZE / 2, SIZE / 2

    def _sample_goal(self, x: float, y: float) -> tuple[float, float]:
        """A free point neither near to the start (x, y) nor far from it."""
        near, far = GOAL_DISTANCE
        for _ in range(TRIES):
            goal_x, goal_y = self._sample_position()
            distance = math.hypot(goal_x - x, goal_y - y)
            if near <= distance <= far and not self._blocked(goal_x, goal_y):
                return goal_x, goal_y
        return SIZE / 2, SIZE / 2

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        key = ("point-maze", self.maze, s.wind_cell)
        canvas.background(key, lambda: self._draw_maze(canvas))
        self._draw_wind(canvas)
        self._draw_goal_light(canvas)
        count = len(s.trail) // 2
        for i in range(count):
            share = (i + 1) / (count + 1)
            at = (s.trail[2 * i], s.trail[2 * i + 1])
            canvas.circle(fade(ORANGE, 0.32 * share), at, RADIUS * (0.35 + 0.6 * share))
        canvas.glow(ORANGE, (s.x, s.y), 2.4 * RADIUS, 0.4)
        canvas.circle(mix(ORANGE, BLACK, 0.35), (s.x, s.y), RADIUS)
        canvas.circle(ORANGE, (s.x, s.y), RADIUS - 0.8)
        canvas.circle(mix(ORANGE, WHITE, 0.55), (s.x - 1.6, s.y - 1.8), 1.6)

    def _draw_maze(self, canvas: Canvas) -> None:
        canvas.fill((14, 16, 24))
        canvas.gradient([(28, 32, 48), (44, 44, 68)], LOW, HIGH)
        for left, width in ((0, LOW), (HIGH, SIZE - HIGH)):
            canvas.rect((14, 16, 24), left, LOW, width, ARENA)
        for i in range(1, CELLS):
            canvas.rect((52, 56, 80), LOW + CELL * i - 0.35, LOW, 0.7, ARENA)
            canvas.rect((52, 56, 80), LOW, LOW + CELL * i - 0.35, ARENA, 0.7)
        row, column = divmod(self.state.wind_cell, CELLS)
        wind = (LOW + CELL * column + 1, LOW + CELL * row + 1, CELL - 2, CELL - 2)
        canvas.rect((70, 140, 255, 70), *wind, radius=4)
        for i, wall in enumerate(self.grid):
            if wall:
                row, column = divmod(i, CELLS)
                x, y = LOW + CELL * column, LOW + CELL * row
                canvas.rect((104, 112, 136), x + 0.7, y + 1.4, CELL - 1.4, CELL - 1.4, 6)
                canvas.rect((184, 192, 212), x + 0.7, y + 0.7, CELL - 1.4, CELL - 3.4, 6)
                canvas.rect((204, 210, 226), x + 3.5, y + 3.2, CELL - 7, CELL - 9, 4)
        canvas.rect((120, 128, 156), LOW - 3, LOW - 3, ARENA + 6, ARENA + 6, 5, outline=2)

    def _draw_wind(self, canvas: Canvas) -> None:
        """Arrows that drift through the cell with the wind."""
        s = self.state
        row, column = divmod(s.wind_cell, CELLS)
        middle_x, middle_y = LOW + CELL * (column + 0.5), LOW + CELL * (row + 0.5)
        ux, uy = WINDS[s.wind][0] / WIND, WINDS[s.wind][1] / WIND
        for lane in (-1, 0, 1):
            for i in range(2):
                phase = (0.045 * s.t + 0.5 * i + 0.3 * lane) % 1.0
                along, across = (phase - 0.5) * (CELL - 12), 10.5 * lane
                x, y = middle_x + along * ux - across * uy, middle_y + along * uy + across * ux
                color = fade((170, 214, 255), 0.9 * math.sin(math.pi * phase))
                tip = (x + 3 * ux, y + 3 * uy)
                wings = [(x - 1 * ux - 3 * way * uy, y - 1 * uy + 3 * way * ux) for way in (-1, 1)]
                canvas.line(color, [wings[0], tip, wings[1]], 1.3)
                canvas.line(color, [(x - 4 * ux, y - 4 * uy), tip], 1.1)

    def _draw_goal_light(self, canvas: Canvas) -> None:
        s = self.state
        goal = (s.goal_x, s.goal_y)
        pulse = 0.5 + 0.5 * math.sin(0.16 * s.t)
        reached = self.success() > 0
        canvas.glow((90, 255, 130), goal, 17 + 4 * pulse + (10 if reached else 0), 0.6)
        canvas.circle(mix(GREEN, WHITE, 0.2), goal, RADIUS)
        canvas.circle((24, 92, 50), goal, RADIUS * 0.62)
        canvas.circle(mix(GREEN, WHITE, 0.5), goal, RADIUS * 0.32)
        if reached:
            canvas.circle(fade(WHITE, 0.85 - 0.4 * pulse), goal, 10 + 3 * pulse, outline=1.5)


def _in_wind(x: float, y: float, wind_cell: int) -> bool:
    """Whether the wind of a cell blows at a position."""
    left, top, right, bottom = WIND_BOXES[wind_cell]
    return left <= x < right and top <= y < bottom


def _cell(x: float, y: float) -> int:
    """The cell that holds a position, row * CELLS + column."""
    return int((y - LOW) / CELL) * CELLS + int((x - LOW) / CELL)
