"""Environments as a user may have them: every number is known."""

import gymnasium
import numpy as np
from gymnasium import spaces

LOW, HIGH = np.float32([[-2.0, 0.0]]), np.float32([[2.0, 10.0]])
ENDS_AFTER = 5


class Line(gymnasium.Env):
    """The reward is the sum of the action; terminated from the fifth step on.

    The observation is the action (twice), the seed's draw, and the number of steps.

    Args:
        strict: Raise where a step follows the end.
        observation: ``box``, ``wide``, ``image``, ``grey`` or ``dict``.
        action: ``box``, ``discrete``, ``integer``, ``unbounded`` or ``wide``.
        cut: The step that the environment itself truncates, or 0.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, strict=False, observation="box", action="box", cut=0, render_mode=None):
        self.observation_space = {
            "box": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
            "wide": spaces.Box(-np.inf, np.inf, (3, 43), np.float64),
            "image": spaces.Box(0, 255, (20, 40, 3), np.uint8),
            "grey": spaces.Box(0, 255, (40, 20), np.uint8),
            "dict": spaces.Dict({"x": spaces.Box(-1, 1, (2,))}),
        }[observation]
        self.action_space = {
            "box": spaces.Box(LOW, HIGH),
            "discrete": spaces.Discrete(3),
            "integer": spaces.Box(0, 5, (2,), np.int64),
            "unbounded": spaces.Box(-np.inf, np.inf, (2,)),
            "wide": spaces.Box(-1, 1, (17,)),
        }[action]
        self.render_mode = render_mode
        self.strict, self.observation, self.cut = strict, observation, cut

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.draw, self.steps, self.action = self.np_random.uniform(), 0, np.zeros((1, 2))
        return self._observe(), {}

    def step(self, action):
        if self.strict and self.steps >= ENDS_AFTER:
            raise RuntimeError("the episode is over")
        assert self.action_space.contains(action), action
        self.steps, self.action = self.steps + 1, action
        terminated, truncated = self.steps >= ENDS_AFTER, self.steps == self.cut
        return self._observe(), float(action.sum()), terminated, truncated, {}

    def _observe(self):
        if self.observation in ("image", "grey"):
            picture = np.zeros(self.observation_space.shape, np.uint8)
            picture[:10] = 200
            return picture
        return np.array([[*self.action[0]], [self.draw, self.steps]])

    def render(self):
        return np.full((100, 200, 3), 50, np.uint8)


class Undrawn(Line):
    """Has no render mode."""

    metadata = {"render_modes": []}


class Plain(gymnasium.Env):
    """As little as an environment can be: no render mode, not even as an argument."""

    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, False, False, {}


gymnasium.register("own/Line-v0", "own_environments:Line", max_episode_steps=12)
gymnasium.register("own/Endless-v0", "own_environments:Line")
gymnasium.register("own/Plain-v0", Plain, max_episode_steps=12)
gymnasium.register("own/Undrawn-v0", "own_environments:Undrawn", max_episode_steps=12)
gymnasium.register(
    "own/Picture-v0",
    "own_environments:Line",
    max_episode_steps=12,
    kwargs={"observation": "image"},
)
