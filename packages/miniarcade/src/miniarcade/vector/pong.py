"""`miniarcade.games.pong` for many environments."""

import numpy as np

from miniarcade.game import SIZE
from miniarcade.games.pong import (
    AGENT_X,
    ARENA,
    BALL_HALF,
    BALL_SIZE,
    BALL_SPEED,
    HIGH,
    LOW,
    OPPONENT_X,
    PADDLE_HEIGHT,
    PADDLE_SPEED,
    PADDLE_WIDTH,
    SIGHT,
    Pong,
)
from miniarcade.vector.game import VectorGame, rows_to_observations
from miniarcade.vector.geometry import boxes_overlap

# px, centre of a ball that may touch a paddle: nearer to the edge
_NEAR_AGENT = AGENT_X + PADDLE_WIDTH + BALL_HALF
_NEAR_OPPONENT = OPPONENT_X - BALL_HALF
_SCALE = np.array([[SIZE, SIZE, BALL_SPEED, BALL_SPEED, SIZE, SIZE]]).T  # of the observation


class VectorPong(VectorGame):
    """See `Pong`."""

    game: Pong

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        s.t += 1
        s.agent_y = _clamp_paddles(s.agent_y + PADDLE_SPEED * actions[:, 0])
        self._move_balls()
        self._move_opponents()
        won, lost = s.x > HIGH, s.x < LOW
        over = won | lost
        s.agent_points += won
        s.opponent_points += lost
        np.copyto(s.scored_at, s.t, where=over)
        np.copyto(s.agent_scored, won, where=over)
        for i in over.nonzero()[0]:
            self._serve(i)
        return won.astype(np.float64) - lost

    def observe(self) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        rows = np.array((s.x, s.y, s.vx, s.vy, s.agent_y, s.opponent_y))
        return rows_to_observations(rows / _SCALE)

    def _serve(self, i: int) -> None:
        s, game = self.state, self.game
        game.rng = self.rngs[i]
        game._serve()
        served = game.state
        s.x[i], s.y[i], s.vx[i], s.vy[i] = served.x, served.y, served.vx, served.vy

    def _move_balls(self) -> None:
        s = self.state
        s.x += s.vx
        s.y += s.vy
        above, below = s.y <= LOW + BALL_HALF, s.y >= HIGH - BALL_HALF
        bounces = (above & (s.vy < 0)) | (below & (s.vy > 0))
        np.negative(s.vy, out=s.vy, where=bounces)
        i = ((s.x < _NEAR_AGENT) | (s.x > _NEAR_OPPONENT)).nonzero()[0]
        vx = s.vx[i]
        to_agent = vx < 0
        touches = boxes_overlap(
            np.where(to_agent, AGENT_X, OPPONENT_X),
            np.trunc(np.where(to_agent, s.agent_y[i], s.opponent_y[i])),
            PADDLE_WIDTH,
            PADDLE_HEIGHT,
            np.trunc(s.x[i] - BALL_HALF),
            np.trunc(s.y[i] - BALL_HALF),
            BALL_SIZE,
            BALL_SIZE,
        )
        np.negative(vx, out=vx, where=touches)
        s.vx[i] = vx

    def _move_opponents(self) -> None:
        s, game = self.state, self.game
        progress = (s.x - LOW) / ARENA
        seen = progress > SIGHT
        for i in (seen & ~s.alert).nonzero()[0]:
            game.rng = self.rngs[i]
            game.state.vx = s.vx.item(i)
            s.delay[i] = game._reaction_delay()
        s.alert = seen
        waits = s.delay > 0
        s.delay -= seen & waits
        speed = PADDLE_SPEED * (0.5 + 0.35 * np.minimum((progress - SIGHT) / 0.65, 1.0))
        direction = np.sign(s.y - (s.opponent_y + PADDLE_HEIGHT / 2)) * (seen & ~waits)
        s.opponent_y = _clamp_paddles(s.opponent_y + speed * direction)


def _clamp_paddles(y: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(y, LOW), HIGH - PADDLE_HEIGHT)
