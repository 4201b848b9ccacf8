"""Wrappers for libraries that expect something else of an environment."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs


class FiniteInfo(gymnasium.Wrapper, RecordConstructorArgs):
    """Replaces NaN by -1: the ``success``, or ``score``, of a task that has none.

    For libraries that store infos and refuse NaN, such as Tianshou. Both lie in [0, 1] where a
    task has them.

    Args:
        env: Any environment of mmbench or miniarcade.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Resets the environment."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, _finite(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Steps the environment."""
        *result, info = self.env.step(action)
        return (*result, _finite(info))


def _finite(info: dict[str, Any]) -> dict[str, Any]:
    told = {name: -1.0 for name in ("score", "success") if math.isnan(info[name])}
    return {**info, **told}
