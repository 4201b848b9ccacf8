"""What the paper reports (arXiv 2511.19584v2, Table 9): mean scores per domain."""

from __future__ import annotations

from typing import NamedTuple


class PaperRow(NamedTuple):
    """A row of the table.

    Attributes:
        tasks: Number of tasks that the mean is of.
        newt: Newt after 100M steps of all tasks together.
        specialists: As many TD-MPC2 agents as tasks, 100M steps together.
    """

    tasks: int
    newt: float
    specialists: float


PAPER = {
    "dmcontrol": PaperRow(21, 0.50, 0.67),
    "dmcontrol-ext": PaperRow(16, 0.37, 0.60),
    "metaworld": PaperRow(49, 0.50, 0.70),
    "maniskill": PaperRow(36, 0.69, 0.77),
    "mujoco": PaperRow(6, 0.20, 0.64),
    "miniarcade": PaperRow(19, 0.44, 0.75),
    "box2d": PaperRow(8, 0.33, 0.87),
    "robodesk": PaperRow(6, 0.38, 0.67),
    "ogbench": PaperRow(12, 0.30, 0.65),
    "atari": PaperRow(27, 0.13, 0.24),
}
"""By domain."""

PAPER_TOTAL = PaperRow(200, 0.44, 0.65)
