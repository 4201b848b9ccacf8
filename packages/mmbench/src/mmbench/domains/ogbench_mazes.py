"""The mazes of OGBench's navigation tasks: maps, and where episodes start and end.

``arena`` and ``medium`` are OGBench's own maps; the others are new in MMBench (arXiv 2511.19584,
appendix A). A cell is (row, column), row 0 at the top; the centre of cell (i, j) is x = 4 j - 4,
y = 4 i - 4, in metres.
"""

from __future__ import annotations

from collections.abc import Sequence

Cell = tuple[int, int]
Pair = tuple[Cell, Cell]

UNIT = 4.0
"""Side of a cell, m."""

# Walls are '#'. The borders of var1 and var2 have gaps through which the agent can leave.
MAPS = {
    "arena": """
########
#......#
#......#
#......#
#......#
#......#
#......#
########
""",
    "medium": """
########
#..##..#
#..#...#
##...###
#..#...#
#.#..#.#
#...#..#
########
""",
    "bottleneck": """
########
#..##..#
#..##..#
#......#
#......#
#..##..#
#..##..#
########
""",
    "circle": """
########
##....##
#..##..#
#.####.#
#.####.#
#..##..#
##....##
########
""",
    "spiral": """
########
#......#
#.#.##.#
#.#....#
#....#.#
#.##.#.#
#......#
########
""",
    "var1": """
####..##
##....##
#.......
#.##.#..
..#..#.#
#.......
##....##
##.#####
""",
    "var2": """
..##..##
#......#
#..##...
#......#
.......#
...##...
#..#...#
##.#..##
""",
}

_CENTRE = ((3, 3), (3, 4), (4, 3), (4, 4))

# Four rooms of 2 x 2 cells in the corners, and the centre.
_ROOMS = (*((i, j) for i in (1, 2, 5, 6) for j in (1, 2, 5, 6)), *_CENTRE)

# The corridor of the circle.
_RING = tuple(
    (row, column)
    for rows, columns in (((1, 6), (2, 3, 4, 5)), ((2, 5), (1, 2, 5, 6)), ((3, 4), (1, 6)))
    for row in rows
    for column in columns
)

# Each corner with its two neighbours, and the centre.
_SPIRAL_ENDS = (
    *((1, 1), (1, 2), (2, 1), (1, 6), (1, 5), (2, 6)),
    *((6, 1), (6, 2), (5, 1), (6, 6), (6, 5), (5, 6)),
    *_CENTRE,
)

_ARENA_MIDDLE = tuple((i, j) for i in (2, 3, 4) for j in (2, 3, 4))


def _apart(cells: Sequence[Cell], least: int) -> tuple[Pair, ...]:
    """All ordered pairs at a distance of at least this many cells along rows and columns."""
    return tuple(
        (start, goal)
        for start in cells
        for goal in cells
        if abs(start[0] - goal[0]) + abs(start[1] - goal[1]) >= least
    )


PAIRS: dict[str, tuple[Pair, ...]] = {
    "arena": _apart(_ARENA_MIDDLE, 2),
    "medium": (
        # OGBench's five, of which the third's goal and the fourth's start are moved.
        ((1, 1), (6, 6)),
        ((6, 1), (1, 6)),
        ((5, 3), (2, 4)),
        ((2, 2), (6, 1)),
        ((2, 6), (1, 1)),
        # MMBench's.
        ((2, 1), (4, 5)),
        ((6, 5), (4, 6)),
        ((2, 2), (4, 4)),
        ((6, 1), (2, 1)),
        ((6, 3), (3, 3)),
    ),
    "bottleneck": _apart(_ROOMS, 3),
    "circle": _apart(_RING, 3),
    "spiral": _apart(_SPIRAL_ENDS, 3),
    "var1": _apart(_RING, 3),
    "var2": _apart(_ROOMS, 3),
}
"""Start and goal cells of every maze; a reset draws one pair, uniformly."""


def walls(maze: str) -> list[Cell]:
    """Returns the cells that are walls, row by row."""
    rows = MAPS[maze].split()
    return [(i, j) for i, row in enumerate(rows) for j, mark in enumerate(row) if mark == "#"]


def size(maze: str) -> tuple[int, int]:
    """Returns the numbers of rows and columns."""
    rows = MAPS[maze].split()
    return len(rows), len(rows[0])


def centre(cell: Cell) -> tuple[float, float]:
    """Returns the x and y of a cell's centre, in metres."""
    i, j = cell
    return UNIT * j - UNIT, UNIT * i - UNIT
