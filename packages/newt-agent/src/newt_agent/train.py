"""The training loop: act, remember, learn, evaluate, save."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import EnvironmentFailure, Task
from mmbench.runs import RunError, RunFolder, one_line, provenance
from mmbench.shell import command
from newt_agent.agent import Agent
from newt_agent.checkpoint import TrainingState, load_training_state, save_checkpoint
from newt_agent.config import Config, check_checkpoint, check_resumption, check_run
from newt_agent.display import Display, RecentScores
from newt_agent.evaluate import Episode, evaluate, make_environments, summarise
from newt_agent.finite import BrokenAgentError, UnusableNumberError, check_numbers, non_finite
from newt_agent.learner import Learner
from newt_agent.loggers import Loggers
from newt_agent.replay import Replay
from newt_agent.system import stop_requests

LOG_EVERY_UPDATES = 100
"""Updates between two looks at the losses: each one waits for the device."""

_EVAL_SEED = 1_000_000
"""Offset of the evaluations' seeds, so that they share no episode with training."""


class Interrupted(Exception):
    """The user asked the run to stop; its checkpoint is written."""


class _StopRequested(Exception):
    """The user asked the run to stop; nothing is saved yet."""


class Trainer:
    """One run, from its start or from its last checkpoint.

    Args:
        config: Settings.
        folder: The run's folder.
        device: ``cpu`` or ``cuda``.
        display: Where progress is shown.
        resume: Go on from the folder's last checkpoint.

    Raises:
        RunError: A setting does not fit, or the checkpoint cannot be resumed from.
    """

    def __init__(
        self, config: Config, folder: RunFolder, device: str, display: Display, resume: bool = False
    ) -> None:
        self.config = config
        self.folder = folder
        self._display = display
        self._device = torch.device(device)
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.set_float32_matmul_precision("high")
        state = load_training_state(folder.last_checkpoint()) if resume else None
        if state is not None:
            with _foreign(folder):
                check_resumption(config, state.progress["config"], state.progress["step"])
        with display.building() as on_progress:
            self.env: Any = make_environments(
                tasks=config.selected(),
                envs_per_task=config.envs_per_task,
                skip_missing=config.skip_missing,
                num_workers=config.num_workers,
                on_error=config.on_error,
                progress=on_progress,
            )
        self.tasks: tuple[Task, ...] = tuple(dict.fromkeys(self.env.tasks))
        check_run(config, self.tasks, device)
        names = [task.versioned_name for task in self.env.tasks]
        self.agent = self._make_agent(resume)
        self.agent.limit_discount(config.discount_max)
        self.agent.plan = config.plan
        self._rows = self.agent.index(names)
        self.learner = Learner(self.agent, config.loss, config.optimizer)
        self.replay = self._make_replay()
        self.step = 0
        self.updates = 0
        self._seconds = 0.0
        self._saved: int | None = None
        self._stop = threading.Event()
        self._evaluation_due = False
        self._results: dict[str, Any] = {}
        self.recent = RecentScores()
        environments, sampler, noise = np.random.SeedSequence(config.seed).generate_state(3)
        self._env_seed = int(environments)
        self._rng = np.random.default_rng(int(sampler))
        self._generator = torch.Generator(self._device).manual_seed(int(noise))
        self._returns = np.zeros(self.env.num_envs)
        self._lengths = np.zeros(self.env.num_envs, np.int64)
        self._first = np.ones(self.env.num_envs, bool)
        self._metrics = folder.metrics
        if state is None:
            self._start()
        else:
            with _foreign(folder):
                self._restore(state)
        self._loggers = Loggers(folder, config, purge_step=self.step)
        self._started = time.perf_counter() - self._seconds

    def run(self) -> dict[str, Any]:
        """Trains to the end.

        Returns:
            The evaluations by name: ``random``, ``before``, ``after``, each as in ``eval.json``.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; a checkpoint was written.
            RunError: An environment failed or returned a number that cannot be learned from (the
                message names the task), or the agent broke: a loss, a gradient, a weight or an
                action is NaN or infinite.
        """
        try:
            return self._run()
        except EnvironmentFailure as failure:
            advice = "Leave the task out with --tasks"
            if self.config.on_error == "raise":
                advice += ", or add --on-error restart, which rebuilds environments that fail"
            raise self._ended(str(failure), advice) from failure
        except UnusableNumberError as error:
            raise self._ended(str(error), "Leave the task out with --tasks") from error
        except BrokenAgentError as error:
            broken = self.learner.broken
            what = f"{', '.join(broken[:4])} became NaN or infinite" if broken else str(error)
            again = command("newt-train", "--checkpoint", self.folder.path, "--optimizer.lr", "...")
            raise self._ended(
                f"(update {self.updates}) {what}",
                "If it happens again, start a new run from its weights with a lower learning "
                f"rate: {again}",
            ) from error

    def _ended(self, what: str, advice: str) -> RunError:
        """Says what ended the run, and how to go on."""
        kept = "The run has no checkpoint yet"
        if self._saved is not None:
            kept = (
                f"The checkpoint of step {self._saved} is intact: "
                f"{command('newt-train', '--resume', self.folder.path)} goes on from it"
            )
        return RunError(f"at step {self.step} {what}\n{kept}. {advice}")

    def _run(self) -> dict[str, Any]:
        with stop_requests() as self._stop, self._display.running(self):
            try:
                self._go()
            except _StopRequested:
                self._save()
                raise Interrupted from None
        return self._results

    def _go(self) -> None:
        """Does what is left of the run. A stop comes between two steps, of evaluations too."""
        if "random" not in self._results:
            self._results["random"] = self._evaluate("random", None)
        if "before" not in self._results:
            self._results["before"] = self._evaluate("before", self.agent)
            self._save()  # so that nothing of this is repeated after an early stop
        while self.step < self.config.steps:
            if self._evaluation_due:
                self._results["latest"] = self._evaluate("eval", self.agent)
                self._evaluation_due = False
            self._heed_stop()
            self._collect()
            self._learn()
            self._display.advance(self)
            self._evaluation_due = self._passed(self.config.eval_every)
            if self._passed(self.config.checkpoint_every):
                self._save()
        if "after" in self._results:
            return  # it was complete, and was resumed
        self._results["after"] = self._evaluate("after", self.agent)
        self.folder.write_eval({"step": self.step, **self._results["after"]})
        self._save()

    def _heed_stop(self) -> None:
        if self._stop.is_set():
            raise _StopRequested

    @property
    def seconds(self) -> float:
        """Time spent on this run, interruptions left out."""
        return time.perf_counter() - self._started

    @property
    def results(self) -> dict[str, Any]:
        """Evaluations so far, by name."""
        return self._results

    def close(self) -> None:
        """Closes the environments and the loggers, and lets others have the folder."""
        with contextlib.ExitStack() as closing:  # each, whatever happens to the others
            closing.callback(self.folder.close)
            closing.callback(self._loggers.close, complete=self.step >= self.config.steps)
            closing.callback(self.env.close)

    # The parts of a step

    def _collect(self) -> None:
        """Takes one step in every environment and stores it."""
        seeding = self.step < self.config.seed_steps
        actions = self._random_actions() if seeding else self._chosen_actions()
        obs, reward, _, truncated, infos = self.env.step(actions)
        final = np.where(truncated[:, None], infos["final_obs"], obs) if truncated.any() else obs
        check_numbers(self.env.tasks, reward, final, obs)
        restarted = infos.get("restarted", np.zeros_like(truncated))
        # Where an environment was restarted there was no step: its reward and last observation
        # are stand-ins.
        self.replay.add(
            torch.from_numpy(final),
            torch.from_numpy(actions),
            torch.from_numpy(reward).float(),
            where=~restarted,
        )
        if truncated.any():
            self.replay.start(torch.from_numpy(obs), truncated)
        self._obs, self._first = obs, truncated
        self.step += self.env.num_envs
        self._returns += reward
        self._lengths += 1
        self._record(truncated, restarted, infos)

    def _learn(self) -> None:
        """Takes the updates that are due."""
        self.learner.set_progress(self.step / self.config.steps)
        # A product, not a sum over the steps: ten times 0.1 added up is less than 1.
        due = math.floor(self.config.utd * max(0, self.step - self.config.seed_steps))
        while self.updates < due:
            batch = self.replay.sample(self.config.batch_size, self._rng)
            metrics = self.learner.update(batch, self._generator)
            self.updates += 1
            if self.updates % LOG_EVERY_UPDATES == 0:
                self._log(metrics)

    def _random_actions(self) -> np.ndarray:
        actions = self._rng.uniform(-1.0, 1.0, self.env.action_space.shape)
        return actions.astype(np.float32) * self.env.action_mask

    def _chosen_actions(self) -> np.ndarray:
        # After the random phase there is no plan yet to go on from.
        first = np.ones_like(self._first) if self.agent.memory is None else self._first
        actions = self.agent.act_on(
            self._obs, self._rows, first, explore=True, generator=self._generator
        )
        # After acting: the actions have waited for the device, so that this does not.
        if self.learner.broken:
            raise BrokenAgentError("a loss became NaN or infinite")
        return actions

    def _check_agent(self) -> None:
        """Checks everything that was learned since the start or resumption.

        Raises:
            BrokenAgentError: A number is NaN or infinite.
        """
        broken = self.learner.broken or list(non_finite(self.agent.model.state_dict()))
        if broken:
            raise BrokenAgentError(f"{', '.join(broken[:4])} became NaN or infinite")

    def _record(self, truncated: np.ndarray, restarted: np.ndarray, infos: dict[str, Any]) -> None:
        for i in np.flatnonzero(restarted):
            self._display.warn(
                f"task {self.env.tasks[i].versioned_name!r} (environment {i}) failed at step "
                f"{self.step} and was restarted; {int(self.env.failures.sum())} restarts so far"
            )
            self._returns[i] = self._lengths[i] = 0
        episodes = []
        for i in np.flatnonzero(truncated & ~restarted):
            score, success = float(infos["score"][i]), float(infos["success"][i])
            name = self.env.tasks[i].versioned_name
            done = Episode(name, score, success, float(self._returns[i]), int(self._lengths[i]))
            episodes.append(done)
            self.recent.add(done)
            self._returns[i] = self._lengths[i] = 0
        self._write("train", episodes)

    def _write(self, phase: str, episodes: list[Episode]) -> None:
        self._metrics.append(
            [
                {
                    "step": self.step,
                    "phase": phase,
                    "task": episode.task,
                    "score": episode.score,
                    "success": episode.success,
                    "return": episode.episode_return,
                    "length": episode.length,
                    "seconds": round(self.seconds, 3),
                }
                for episode in episodes
            ]
        )

    def _log(self, metrics: dict[str, Tensor]) -> None:
        self._loggers.losses(self.step, {name: float(value) for name, value in metrics.items()})

    def _passed(self, every: int) -> bool:
        """Whether the last vector step reached a multiple of ``every``."""
        return every > 0 and self.step // every > (self.step - self.env.num_envs) // every

    def _evaluate(self, phase: str, agent: Agent | None) -> dict[str, Any]:
        if agent is not None:
            self._check_agent()
        total = self.config.eval_episodes * len(self.tasks)
        memory = self.agent.memory
        self.agent.plan = self.config.plan_in_eval
        seed = self.config.seed + _EVAL_SEED
        try:
            with self._display.evaluating(phase, total) as on_episode:
                episodes = evaluate(
                    agent,
                    self.tasks,
                    self.config.eval_episodes,
                    seed,
                    on_episode,
                    self._heed_stop,
                    workers=self.env,
                    on_error=self.config.on_error,
                )
        finally:
            self.agent.plan, self.agent.memory = self.config.plan, memory
        self._write(phase, episodes)
        result = summarise(episodes, self.tasks)
        if agent is not None:
            self._loggers.scores(self.step, result)
        return result

    # Starting, saving, restoring

    def _make_agent(self, resume: bool) -> Agent:
        source = self.folder.last_checkpoint() if resume else self.config.checkpoint
        if source is None:
            return Agent.create(
                self.tasks,
                self.config.size,
                self.config.encoder,
                self.config.planner,
                torch.Generator().manual_seed(self.config.seed),
                self._device,
            )
        agent = Agent.load(source, self._device)
        check_checkpoint(self.config, source, agent.size, agent.encoder)
        agent.planner.config = self.config.planner
        return agent

    def _make_replay(self) -> Replay:
        model = self.agent.model.config
        return Replay(
            self.config.replay_capacity,
            self.env.num_envs,
            self.config.planner.horizon,
            self._rows,
            model.obs_dim,
            model.action_dim,
            self._device,
        )

    def _start(self) -> None:
        self._obs, _ = self.env.reset(seed=self._env_seed)
        try:
            check_numbers(self.env.tasks, self._returns, self._obs)
        except UnusableNumberError as error:
            raise RunError(f"at step 0 {error}. Leave the task out with --tasks") from error
        self.replay.start(torch.from_numpy(self._obs), np.ones(self.env.num_envs, bool))
        missing = [task.versioned_name for task in self.env.missing]
        self.folder.write_config(
            {
                "config": self.config.to_dict(),
                "tasks": [task.versioned_name for task in self.tasks],
                "missing": missing,
                "device": str(self._device),
                **provenance(),
            }
        )
        self._metrics.begin()

    def _save(self) -> None:
        self._check_agent()
        self._seconds = self.seconds
        self._metrics.flush()
        training = {f"learner/{k}": v for k, v in self.learner.state_dict().items()}
        training["generator"] = self._generator.get_state()
        training["obs"] = torch.from_numpy(self._obs)
        training["first"] = torch.from_numpy(self._first)
        training["episode_rng"] = torch.from_numpy(self.env.episode_rng.view(np.int64))
        training["returns"] = torch.from_numpy(self._returns)
        training["lengths"] = torch.from_numpy(self._lengths)
        if self.agent.memory is not None:
            training["memory"] = self.agent.memory
        progress = {
            "step": self.step,
            "updates": self.updates,
            "seconds": self._seconds,
            "metrics_bytes": self._metrics.size,
            "sampler": self._rng.bit_generator.state,
            "results": self._results,
            "evaluation_due": self._evaluation_due,
            "config": self.config.to_dict(),
            **provenance(),
        }
        state = TrainingState(training, self.replay.state_dict(), progress)
        with self._display.saving():
            save_checkpoint(self.folder, self.step, self.agent, state)
        self._saved = self.step

    def _restore(self, state: TrainingState) -> None:
        training, progress = state.training, state.progress
        self.learner.load_state_dict(
            {
                name.removeprefix("learner/"): value
                for name, value in training.items()
                if name.startswith("learner/")
            }
        )
        self.replay.load_state_dict(state.replay)
        self.step, self.updates = progress["step"], progress["updates"]
        self._saved = self.step
        self._seconds = progress["seconds"]
        self._bring_back_noise(training["generator"])
        self._rng.bit_generator.state = progress["sampler"]
        self._results = progress["results"]
        if self.step < self.config.steps:
            self._results.pop("after", None)  # of a shorter run
        self._evaluation_due = progress["evaluation_due"]
        self._returns = training["returns"].numpy().copy()
        self._lengths = training["lengths"].numpy().copy()
        self._first = training["first"].numpy().copy()
        self.agent.memory = training["memory"].to(self._device) if "memory" in training else None
        if lost := self._metrics.restore(progress["metrics_bytes"], self.step):
            self._display.warn(lost)
        self._obs = self._bring_back_environments(training)
        # What was changed at this resumption holds at the next one too.
        settings = {"config": self.config.to_dict(), "device": str(self._device)}
        self.folder.write_config({**self.folder.read_config(), **settings})

    def _bring_back_noise(self, state: Tensor) -> None:
        if state.shape == self._generator.get_state().shape:
            self._generator.set_state(state)
            return
        seed = np.random.SeedSequence([self.config.seed, self.step]).generate_state(1)
        self._generator.manual_seed(int(seed[0]))
        self._display.warn(
            "the checkpoint is from another kind of device, whose generator this one cannot go on "
            f"with: noise is drawn anew from step {self.step}, and the run will differ from one "
            "never stopped"
        )

    def _bring_back_environments(self, training: dict[str, Tensor]) -> np.ndarray:
        limits = [task.max_episode_steps for task in self.env.tasks]
        actions = [self.replay.running_actions(i, n).numpy() for i, n in enumerate(limits)]
        obs = replay_episodes(self.env, training["episode_rng"].numpy().view(np.uint64), actions)
        different = np.flatnonzero((obs != training["obs"].numpy()).any(1))
        if len(different):
            self._display.warn(
                f"task {self.env.tasks[int(different[0])].name!r} did not come back exactly as it "
                "was: another version of its simulator? The run goes on, but will differ from one "
                "never stopped"
            )
        return obs


@contextlib.contextmanager
def _foreign(folder: RunFolder) -> Iterator[None]:
    """Around the use of what a checkpoint holds: foreign names and shapes raise nearly anything."""
    try:
        yield
    except (RunError, EnvironmentFailure):
        raise
    except Exception as error:
        raise RunError(
            f"{folder.last_checkpoint()} cannot be resumed from ({one_line(error)})"
        ) from error


def replay_episodes(env: Any, generators: np.ndarray, actions: list[np.ndarray]) -> np.ndarray:
    """Brings environments back to where they were by taking their actions again.

    Works for every simulator, also for those whose state cannot be saved.

    Args:
        env: A multitask vector environment.
        generators: [N, 6] uint64, from which each running episode started.
        actions: For each environment, [steps, 16], its actions since then.

    Returns:
        The observations, [N, 128].
    """
    lengths = np.array([len(own) for own in actions])
    longest = int(lengths.max())
    obs, _ = env.reset(options={"rng": generators})
    batch = np.zeros(env.action_space.shape, np.float32)
    for tick in range(longest):
        # Shorter episodes start later, so that all arrive together. What an environment does
        # before its start is thrown away.
        positions = tick - (longest - lengths)
        for i in np.flatnonzero(positions >= 0):
            batch[i] = actions[i][positions[i]]
        if tick and (positions == 0).any():
            env.reset(options={"rng": generators, "reset_mask": positions == 0})
        obs, *_ = env.step(batch)
    if longest and (lengths == 0).any():
        obs, _ = env.reset(options={"rng": generators, "reset_mask": lengths == 0})
    return obs
