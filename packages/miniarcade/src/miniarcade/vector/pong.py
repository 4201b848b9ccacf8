"""`miniarcade.games.pong` for many environments."""

import numpy as np

from miniarcade.game import SIZE, Game
from miniarcade.games.pong import (
    AGENT_X,
    APPROACH,
    ARENA,
    BALL_BOX,
    BALL_RADIUS,
    BALL_SPEED,
    CENTER,
    HASTE,
    HIGH,
    LOW,
    OPPONENT_X,
    PADDLE_HEIGHT,
    PADDLE_SPEED,
    PADDLE_WIDTH,
    SIGHT,
    SLOWEST,
    Pong,
    sample_delay,
    sample_serve,
)
from miniarcade.vector.game import STEP, VectorGame, boxes_overlap, rows_to_observations

# As arrays: NumPy would convert Python numbers in every operation, which costs as much again.
_ZERO, _ONE = np.array(0.0), np.array(1.0)
_LOW, _HIGH, _ARENA = map(np.array, (float(LOW), float(HIGH), float(ARENA)))
_AGENT_X, _OPPONENT_X = np.array(float(AGENT_X)), np.array(float(OPPONENT_X))
_PADDLE_WIDTH, _PADDLE_HEIGHT = np.array(float(PADDLE_WIDTH)), np.array(float(PADDLE_HEIGHT))
_BOX_HALF, _BOX = np.array(BALL_BOX / 2), np.array(float(BALL_BOX))
_PADDLE_SPEED, _PADDLE_HALF = np.array(PADDLE_SPEED), np.array(PADDLE_HEIGHT / 2)
_SIGHT, _SLOWEST, _HASTE, _APPROACH = map(np.array, (SIGHT, SLOWEST, HASTE, APPROACH))
_TOP, _BOTTOM = np.array(float(LOW + BALL_RADIUS)), np.array(float(HIGH - BALL_RADIUS))  # px
_LAST = np.array(float(HIGH - PADDLE_HEIGHT))  # px, lowest top of a paddle
_SCALE = np.array([[SIZE, SIZE, BALL_SPEED, BALL_SPEED, SIZE, SIZE]]).T  # of the observation


class VectorPong(VectorGame):
    game: Pong

    def __init__(self, game: Game, num_envs: int) -> None:
        super().__init__(game, num_envs)
        self._rows = self.pack("x", "y", "vx", "vy", "agent_y", "opponent_y")  # as observed

    def step(self, actions: np.ndarray) -> np.ndarray:
        s = self.state
        s.t += STEP
        s.agent_y += _PADDLE_SPEED * actions[:, 0]
        _clamp_paddles(s.agent_y)
        self._move_opponents()
        self._move_balls()
        won, lost = s.x > _HIGH, s.x < _LOW
        for i in (won | lost).nonzero()[0].tolist():
            points = s.agent_points if won[i] else s.opponent_points
            points[i] += 1
            s.scored_at[i], s.agent_scored[i] = s.t[i], won[i]
            s.x[i] = s.y[i] = CENTER
            s.vx[i], s.vy[i] = sample_serve(self.rngs[i])
        return won.astype(np.float64) - lost

    def observe(self) -> np.ndarray:
        return rows_to_observations(self._rows / _SCALE)

    def _move_balls(self) -> None:
        s = self.state
        self._rows[0:2] += self._rows[2:4]
        np.negative(s.vy, out=s.vy, where=(s.y < _TOP) | (s.y > _BOTTOM))
        # Each ball against the paddle that it flies to.
        to_agent = s.vx < _ZERO
        left, top = np.trunc(self._rows[0:2] - _BOX_HALF)
        touches = boxes_overlap(
            np.where(to_agent, _AGENT_X, _OPPONENT_X),
            np.trunc(np.where(to_agent, s.agent_y, s.opponent_y)),
            _PADDLE_WIDTH,
            _PADDLE_HEIGHT,
            left,
            top,
            _BOX,
            _BOX,
        )
        np.negative(s.vx, out=s.vx, where=touches)

    def _move_opponents(self) -> None:
        s = self.state
        progress = (s.x - _LOW) / _ARENA
        seen = progress > _SIGHT
        for i in (seen > s.alert).nonzero()[0].tolist():
            s.delay[i] = sample_delay(self.rngs[i])
        s.alert = seen
        waits = s.delay > 0
        s.delay -= seen & waits
        speed = _PADDLE_SPEED * (
            _SLOWEST + _HASTE * np.minimum((progress - _SIGHT) / _APPROACH, _ONE)
        )
        up = np.copysign(speed, s.opponent_y - (s.y - _PADDLE_HALF))  # also where they are equal
        s.opponent_y -= up * (seen > waits)
        _clamp_paddles(s.opponent_y)


def _clamp_paddles(y: np.ndarray) -> None:
    np.maximum(y, _LOW, out=y)
    np.minimum(y, _LAST, out=y)
