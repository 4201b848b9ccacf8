"""Linear-quadratic control about an equilibrium."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_discrete_are

_DIFFERENCE = 1e-4  # of states and actions, in the units of the dynamics


def lqr_gain(
    step: Callable[[np.ndarray, np.ndarray], np.ndarray],
    state_costs: np.ndarray,
    action_costs: np.ndarray,
) -> np.ndarray:
    """Returns K of the control ``action = -K @ state`` that minimises a quadratic cost.

    Args:
        step: The dynamics of one step, ``(state, action) -> next state``; both zero is the
            equilibrium.
        state_costs: (n,), of each state entry's square.
        action_costs: (m,), of each action entry's square.

    Returns:
        (m, n).
    """
    n, m = len(state_costs), len(action_costs)
    state, action = np.zeros(n), np.zeros(m)
    of_state = [
        (step(d, action) - step(-d, action)) / (2 * _DIFFERENCE) for d in _DIFFERENCE * np.eye(n)
    ]
    of_action = [
        (step(state, d) - step(state, -d)) / (2 * _DIFFERENCE) for d in _DIFFERENCE * np.eye(m)
    ]
    a, b = np.stack(of_state, axis=1), np.stack(of_action, axis=1)
    cost_to_go = solve_discrete_are(a, b, np.diag(state_costs), np.diag(action_costs))
    return np.linalg.solve(np.diag(action_costs) + b.T @ cost_to_go @ b, b.T @ cost_to_go @ a)
