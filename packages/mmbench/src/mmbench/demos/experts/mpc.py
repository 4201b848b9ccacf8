"""Sampling MPC: plans tried out in the simulator, the best one followed for a few steps.

A plan is a row of actions that are each held for some steps. At every decision the rest of the
last plan is the first candidate; each further one is random or varies the best so far. Every
candidate starts from the present state, by ``set_state``; Box2D's, which cannot be saved, in a
second world. What the simulator draws from its generator while a candidate is tried comes from
another generator than the episode's, so nothing of the episode's future is known. Atari's games
draw nothing: a plan that was tried comes out as it did.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from miniarcade.snapshot import pack_generator
from mmbench.catalog import Task
from mmbench.demos.experts import Expert, on_grid
from mmbench.demos.experts.linear import Guide, LinearGuide
from mmbench.demos.experts.trained import TrainedGuide
from mmbench.env import TaskEnv


@dataclass(frozen=True)
class Settings:
    """How one task is planned.

    Attributes:
        plans: Candidates at every decision.
        horizon: Steps that a plan looks ahead; a multiple of ``hold``.
        hold: Steps that an action is held.
        replan: Steps from one decision to the next; a multiple of ``hold``.
        discount: Of a plan's rewards, per step.
        random: Share of the candidates that are wholly random.
        repeat: Share of the candidates that repeat what was done last, over and over: for gaits.
        shaping: Added to the reward of every step of a candidate: a function of the observation
            after it, (obs_dim,).
    """

    plans: int = 64
    horizon: int = 50
    hold: int = 5
    replan: int = 5
    discount: float = 0.99
    random: float = 0.25
    repeat: float = 0.0
    shaping: Callable[[np.ndarray], float] | None = None


def _level_with_coin(obs: np.ndarray) -> float:
    """Spaceship: minus the height, in screens, that the ship is off the next coin."""
    ship_x, ship_y = obs[0], obs[1] + 0.04  # its middle
    coins = obs[4:12].reshape(4, 2)
    ahead = coins[coins[:, 0] > ship_x]
    return -0.3 * float(abs(ahead[0, 1] - ship_y)) if len(ahead) else 0.0


def _ball_to_cup(obs: np.ndarray) -> float:
    """Cup-catch: minus twice the distance (m) of the ball from the bottom of the cup."""
    cup_x, cup_z, ball_x, ball_z = obs[:4]  # from where each starts: 0.6 m up, 0.2 m up
    return -2.0 * math.hypot(ball_x - cup_x, (0.2 + ball_z) - (0.6 + cup_z - 0.108))


def _tip_to_target(obs: np.ndarray) -> float:
    """Finger-turn: minus the distance (m) of the spinner's tip from the target."""
    return -float(obs[-1])


def _mouth_to_target(obs: np.ndarray) -> float:
    """Fish-swim: minus three tenths of the distance (m) of the target from its mouth."""
    return -0.3 * float(np.linalg.norm(obs[8:11]))


def _arms_up(obs: np.ndarray) -> float:
    """Acrobot: a tenth of how far up both of its arms point, in [-0.2, 0.2]."""
    return 0.1 * float(obs[2] + obs[3])


def _upright(obs: np.ndarray) -> float:
    """Quadruped: half of how upright its torso is, in [-1, 1]."""
    return 0.5 * float(obs[47])


_PERIODS = (2, 16)  # of gaits: held actions, from the first number up to the second

_WALK = Settings(plans=40, horizon=20, hold=4, replan=4)
_TURN = Settings(plans=30, horizon=24, hold=3, replan=3, shaping=_tip_to_target)

_RUN = Settings(plans=60, horizon=24, hold=3, replan=3)
_SPIN = Settings(plans=50, horizon=24, hold=4, replan=4)
_JUMP = Settings(plans=60, horizon=36, hold=4, replan=4)

_ABOUT_AGENT = Settings(plans=16, horizon=40, hold=4, replan=4, random=0.3)

_GAME = Settings(plans=12, horizon=25, random=0.5)
# Long enough to see the life go that a hit costs: the counter follows a second later.
_LONG_GAME = replace(_GAME, horizon=48, hold=6, replan=6)

SETTINGS: dict[str, Settings] = {
    "acrobot-swingup": Settings(plans=40, horizon=75, hold=3, replan=3, shaping=_arms_up),
    "atari-asterix": _LONG_GAME,
    "atari-battle-zone": replace(_LONG_GAME, plans=16),
    "atari-ice-hockey": replace(_LONG_GAME, plans=16),
    "atari-pong": replace(_GAME, plans=16, horizon=50),
    "atari-space-invaders": replace(_LONG_GAME, hold=3, replan=3),
    "atari-tutankham": replace(_LONG_GAME, plans=16),
    "atari-yars-revenge": replace(_LONG_GAME, plans=16),
    "pygame-spaceship": Settings(horizon=30, hold=3, replan=3, shaping=_level_with_coin),
    "cheetah-jump": replace(_JUMP, plans=100, horizon=44, repeat=0.2),
    "cheetah-run": _RUN,
    "cheetah-run-back": _ABOUT_AGENT,
    "cheetah-run-front": _ABOUT_AGENT,
    "cheetah-run-backward": replace(_RUN, repeat=0.3),
    "cup-catch": Settings(plans=24, horizon=40, hold=4, replan=8, shaping=_ball_to_cup),
    "cup-spin": _SPIN,
    "finger-turn-easy": _TURN,
    "finger-turn-hard": _TURN,
    "fish-swim": Settings(
        plans=60, horizon=40, hold=4, replan=4, repeat=0.3, shaping=_mouth_to_target
    ),
    "giraffe-run": Settings(plans=200, horizon=40, hold=4, replan=4, repeat=0.3),
    "jumper-jump": _JUMP,
    "ms-lift-peg": Settings(plans=100, horizon=8, hold=2, replan=2),
    "ms-hopper-stand": Settings(plans=40, horizon=30, hold=2, replan=2),
    "mujoco-halfcheetah": Settings(plans=80, horizon=40, hold=2, replan=2, repeat=0.3),
    "mujoco-walker": Settings(plans=50, horizon=48, hold=4, replan=4),
    "og-antball": Settings(plans=30, horizon=16, hold=2, replan=2),
    "og-ant": Settings(plans=12, horizon=16, hold=4, replan=4),
    "quadruped-run": Settings(plans=30, horizon=20, hold=4, replan=4, shaping=_upright),
    "quadruped-walk": Settings(plans=20, horizon=20, hold=4, replan=4, shaping=_upright),
    "rd-open-drawer": Settings(plans=10, horizon=10, hold=5, replan=5),
    "spinner-jump": _JUMP,
    "spinner-jump-four": _JUMP,
    "spinner-spin": _SPIN,
    "spinner-spin-backward": _SPIN,
    "walker-run": replace(_RUN, repeat=0.3),
    "walker-run-backward": replace(_RUN, repeat=0.3),
    "walker-stand": replace(_WALK, plans=24),
    "walker-stand-incline": replace(_WALK, plans=24),
    "walker-walk": _WALK,
    "walker-walk-backward": _WALK,
    "walker-walk-incline": _WALK,
}
"""By task; the others have those of their domain, or the defaults."""

DOMAINS: dict[str, Settings] = {
    # A game has no random numbers: what differs between episodes is the search's own.
    "atari": _GAME,
    "box2d": Settings(horizon=35),  # the walker
    "ogbench": Settings(plans=12, horizon=8, hold=2, replan=2),  # the mazes' ant
}
"""By domain."""


class MPC(Expert):
    """Plans by trying out; see the module."""

    name = "sampling MPC"

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Starts without a plan."""
        self._env = env
        self._trial = self._open_trial()
        self._rng = rng
        self._settings = SETTINGS.get(env.task.versioned_name) or DOMAINS.get(
            env.task.domain, Settings()
        )
        self._shape = (self._settings.horizon // self._settings.hold, env.task.action_dim)
        self._plan = rng.uniform(-1.0, 1.0, self._shape)
        self._done: list[np.ndarray] = []  # the actions that were held so far
        self._step = 0  # of the episode

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Follows the plan, after a decision where one is due."""
        settings = self._settings
        since = self._step % settings.replan
        if since == 0:
            if self._step:
                done = settings.replan // settings.hold
                self._plan = np.concatenate((self._plan[done:], self._sample(done)))
            self._decide()
        self._step += 1
        action = self._plan[since // settings.hold]
        if since % settings.hold == 0:
            self._done.append(action)
        return action

    def _decide(self) -> float:
        """Improves the plan, from the present state of the environment; returns its value."""
        state = self._present()
        best = self._value(self._plan)
        for _ in range(self._settings.plans - 1):
            candidate = self._candidate()
            value = self._value(candidate)
            if value > best:
                best, self._plan = value, candidate
        if state is not None:
            self._env.set_state(state)
        return best

    # Where candidates are tried

    def _open_trial(self) -> TaskEnv:
        """Returns the environment in which candidates are tried: the episode's own."""
        return self._env

    def _present(self) -> dict[str, np.ndarray] | None:
        """Notes the present state, and returns it if it has to be restored after the trials."""
        state = self._env.get_state()
        generator = np.random.default_rng(self._rng.integers(2**63))
        # The same unreal future for all candidates, so that they differ by their actions only.
        self._start = {**state, "env/rng": pack_generator(generator)}
        return state

    def _go_back(self) -> None:
        """Brings the trial to the present state."""
        self._trial.set_state(self._start)

    # Candidates

    def _sample(self, count: int) -> np.ndarray:
        return self._rng.uniform(-1.0, 1.0, (count, self._shape[1]))

    def _candidate(self) -> np.ndarray:
        """Returns a random plan, a repetition, or the best so far with some actions changed."""
        rng, repeat = self._rng, self._settings.repeat
        if repeat and len(self._done) >= _PERIODS[1] and rng.random() < repeat:
            return self._repetition()
        if rng.random() < self._settings.random:
            return self._sample(self._shape[0])
        changed = rng.random((self._shape[0], 1)) < rng.choice((0.15, 0.4, 1.0))
        noise = rng.choice((0.1, 0.3, 1.0)) * rng.standard_normal(self._shape)
        return np.clip(self._plan + changed * noise, -1.0, 1.0)

    def _repetition(self) -> np.ndarray:
        """Returns the last actions again and again, some changed, after the plan's beginning."""
        rng, count = self._rng, self._shape[0]
        period = rng.integers(*_PERIODS)
        plan = np.array(self._done[-period:])[np.arange(count) % period]
        if rng.random() < 0.6:
            plan = plan + rng.choice((0.1, 0.3)) * rng.standard_normal(self._shape)
        if rng.random() < 0.5:
            begun = rng.integers(count // 2)
            plan = np.concatenate((self._plan[:begun], plan[: count - begun]))
        return np.clip(plan, -1.0, 1.0)

    def _value(self, plan: np.ndarray) -> float:
        """Returns what a plan earns from the present state, discounted."""
        env, settings = self._trial, self._settings
        self._go_back()
        left = env.task.max_episode_steps - self._step
        actions = np.repeat(on_grid(plan).astype(np.float32), settings.hold, axis=0)[:left]
        total, weight = 0.0, 1.0
        obs = np.empty(env.task.obs_dim, np.float32)
        for action in actions:
            reward = env.advance(action)[0]
            if settings.shaping is not None:
                env.observe(obs)
                reward += settings.shaping(obs)
            total += weight * reward
            weight *= settings.discount
        return total


class ApartMPC(MPC):
    """Tries its plans out in a second environment.

    For simulators in which a state that is set again is not the same in every respect, such as
    ManiSkill's: contacts begin anew. The episode's own environment is left alone, so that it comes
    out as its actions alone lead to.
    """

    def _open_trial(self) -> TaskEnv:
        trial = TaskEnv(self._env.task, unify=False)
        trial.reset(seed=0)
        return trial

    def _present(self) -> None:
        super()._present()  # nothing is to be restored


class GuidedMPC(MPC):
    """Plans what is added to the actions of a linear policy (see ``linear.py``)."""

    name = "sampling MPC about a linear policy"
    NOISE = 0.3  # of what is added

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Starts by adding nothing."""
        super().begin(env, obs, rng)
        self._plan = self._sample(self._shape[0])
        self._guide = self._find_guide(env.task)
        self._seen = np.empty(env.task.obs_dim, np.float32)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Follows the policy, and the plan."""
        step, added = self._step, super().act(obs)
        return np.clip(self._guide.act(obs, step) + added, -1.0, 1.0)

    def _find_guide(self, task: Task) -> Guide:
        return LinearGuide(task)

    def _sample(self, count: int) -> np.ndarray:
        return np.zeros((count, self._shape[1]))

    def _candidate(self) -> np.ndarray:
        """Returns the best plan so far, or none, with noise on some of its actions."""
        rng = self._rng
        plan = self._plan if rng.random() > self._settings.random else np.zeros(self._shape)
        changed = rng.random((self._shape[0], 1)) < rng.choice((0.3, 1.0))
        noise = self.NOISE * rng.choice((0.3, 1.0, 2.0)) * rng.standard_normal(self._shape)
        return np.clip(plan + changed * noise, -2.0, 2.0)

    def _value(self, plan: np.ndarray) -> float:
        """Returns what a plan earns from the present state, discounted."""
        env, settings, obs = self._trial, self._settings, self._seen
        self._go_back()
        left = env.task.max_episode_steps - self._step
        total, weight = 0.0, 1.0
        for i, added in enumerate(np.repeat(plan, settings.hold, axis=0)[:left]):
            env.observe(obs)
            action = on_grid(self._guide.act(obs, self._step + i) + added)
            total += weight * (env.advance(action.astype(np.float32))[0] + self._guide.bonus)
            weight *= settings.discount
        return total


class TrainedMPC(GuidedMPC):
    """Plans what is added to the actions of a trained agent (see ``trained.py``)."""

    name = "sampling MPC about an agent trained by PPO"
    NOISE = 0.15

    def _find_guide(self, task: Task) -> Guide:
        return TrainedGuide(task)


class CarefulMPC(MPC):
    """Avoids what ends an episode's rewards, though nothing else punishes it: falls, lost lives.

    A plan in which that happens is worse than any other, the worse the sooner; and where all are
    such, more are tried.
    """

    ROUNDS = 8  # of candidates, at most
    LOST: float  # more than a plan can earn

    def _decide(self) -> float:
        for _ in range(self.ROUNDS):
            best = super()._decide()
            if best > self.LOST / 2:
                break
        return best


class TwinMPC(CarefulMPC):
    """Box2D's walker: tries its plans out in a second world, into which the bodies are copied.

    Once it has fallen it is punished for the rest of the episode.
    """

    LOST = -100.0  # more than two metres of walking, which no plan is long enough for

    def _open_trial(self) -> TaskEnv:
        twin = TaskEnv(self._env.task, unify=False)
        twin.reset(options={"rng": self._env.episode_rng})  # the same ground
        return twin

    def _present(self) -> None:
        pass

    def _go_back(self) -> None:
        walker: Any = self._trial.simulator
        walker.copy_bodies(self._env.simulator)
        self._trial.carry_on(self._step)

    def _value(self, plan: np.ndarray) -> float:
        value = super()._value(plan)
        walker: Any = self._trial.simulator
        return value + self.LOST * walker.crashed


class GameMPC(CarefulMPC):
    """Plays Atari, where a lost life costs nothing, but a game that is over brings no points."""

    LOST = -1e6

    def _value(self, plan: np.ndarray) -> float:
        self._go_back()
        game: Any = self._trial.simulator
        lives = game.lives
        settings = self._settings
        left = self._trial.task.max_episode_steps - self._step
        actions = np.repeat(on_grid(plan).astype(np.float32), settings.hold, axis=0)[:left]
        total, weight = 0.0, 1.0
        for action in actions:
            total += weight * self._trial.advance(action)[0]
            if game.lives < lives:
                return total + weight * self.LOST
            weight *= settings.discount
        return total
