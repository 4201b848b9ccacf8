"""The training loop that all methods share: act, remember, learn, evaluate, save."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from mmbench.catalog import EnvironmentFailure, Task
from mmbench.evaluation import Episode, summarise
from mmbench.runs import RunError, RunFolder, one_line, provenance
from newt_agent import ranks
from newt_agent.agent import Agent
from newt_agent.chance import environment_seed
from newt_agent.checkpoint import RunState, TrainingState, load_training_state
from newt_agent.config import (
    RunConfig,
    check_checkpoint,
    check_ranks,
    check_resumption,
    check_run,
)
from newt_agent.display import Display, RecentScores, RunProgress
from newt_agent.episodes import RunningEpisodes
from newt_agent.evaluate import evaluate, make_environments
from newt_agent.failures import explained_failures
from newt_agent.finite import BrokenAgentError, UnusableNumberError, check_numbers, non_finite
from newt_agent.loggers import Loggers
from newt_agent.method import Method, Step
from newt_agent.protocols import label
from newt_agent.stopwatch import Stopwatch
from newt_agent.system import stop_requests

_SAVE_SECONDS = 600.0
"""Between two checkpoints while no step is taken, at most."""
_EVAL_SEED = 1_000_000
"""Offset of the evaluations' seeds, so that they share no episode with training."""


class Interrupted(Exception):
    """The user asked the run to stop; its checkpoint is written."""


class _StopRequested(Exception):
    """The user asked the run to stop; nothing is saved yet."""


class Trainer:
    """One run, from its start or from its last checkpoint.

    Args:
        method: What learns.
        config: Settings, of the method's class.
        folder: The run's folder.
        device: ``cpu`` or ``cuda``.
        display: Where progress is shown.
        resume: Go on from the folder's last checkpoint.
        preset: The one that the settings began from.

    Attributes:
        env: The multitask vector environment: the tasks of this rank.
        tasks: The tasks of all ranks that can run here, each once.
        missing: Those that cannot.
        num_envs: The environments of all ranks.
        method: The learning method.

    Raises:
        RunError: A setting does not fit, or the checkpoint cannot be resumed from.
    """

    def __init__(
        self,
        method: type[Method],
        config: RunConfig,
        folder: RunFolder,
        device: str,
        display: Display,
        resume: bool = False,
        preset: str = "",
    ) -> None:
        self.config = config
        self.folder = folder
        self._display = display
        self._device = torch.device(device)
        self._preset = preset
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.set_float32_matmul_precision("high")
        state = load_training_state(folder.last_checkpoint()) if resume else None
        if state is not None:
            with self._foreign():
                check_resumption(config, state.progress["config"], state.progress["step"])
        selected = config.selected()
        check_ranks(selected, method)
        with display.building() as on_progress:
            self.env: Any = make_environments(
                tasks=ranks.own(selected),
                envs_per_task=config.envs_per_task,
                skip_missing=config.skip_missing,
                obs=config.obs,
                num_workers=config.num_workers,
                on_error=config.on_error,
                progress=on_progress,
            )
        own = [task.versioned_name for task in self.env.tasks]
        run = {name for names in ranks.gather(own) for name in names}
        self.tasks: tuple[Task, ...] = tuple(t for t in selected if t.versioned_name in run)
        self.missing = tuple(t for t in selected if t.versioned_name not in run)
        self.num_envs = sum(ranks.gather(self.env.num_envs))
        check_run(config, self.tasks, method)
        self.config = config = method.complete(config, self.tasks, device)
        method.check(config, self.tasks, device)
        self.agent = self._make_agent(method, resume)
        self.agent.limit_discount(config.discount_max)
        self.env = self.agent.seen(self.env)
        rows = self.agent.index(own)
        self.method = method(config, self.agent, rows)
        self.recent = RecentScores()
        self._episodes = RunningEpisodes(self.env, self.agent)
        self._state = RunState(folder, config, self.method, self._episodes, own)
        self._watch = Stopwatch()
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        if state is None:
            self._start()
        else:
            with self._foreign():
                self._resume(state)
        self._loggers: Loggers | None = None
        if ranks.is_first():
            # What was logged at the checkpoint's own step stays.
            self._loggers = Loggers(folder, config, purge_step=self.step + resume)

    def run(self) -> dict[str, Any]:
        """Trains to the end. A stop comes between two steps, of evaluations too.

        Returns:
            The evaluations by name: ``random``, ``before``, ``after``, each as in ``eval.json``.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; a checkpoint was written.
            RunError: An environment failed or returned a number that cannot be learned from (the
                message names the task), or the agent broke: a loss, a gradient, a weight or an
                action is NaN or infinite.
        """
        with explained_failures(self), self._display.running(), self._heeding_stops():
            if "random" not in self.results:
                self.results["random"] = self._evaluate("random", None)
            if "before" not in self.results:
                self.results["before"] = self._evaluate("before", self.method.evaluated())
                self._state.judge(self.results["before"])
                self._save()  # so that nothing of this is repeated after an early stop
            while self.step < self.config.length or self.method.behind(self.step):
                if self._state.evaluation_due:
                    self.results["latest"] = self._evaluate("eval", self.method.evaluated())
                    self._state.evaluation_due = False
                    if self._state.judge(self.results["latest"]):
                        self._save()
                self._heed_stop()
                if not self.method.offline and not self.method.behind(self.step):
                    self._take_step()
                if not self.method.overlaps or self.method.behind(self.step):
                    self._learn()
                if self.method.behind(self.step):
                    self._save_now_and_then()
                    continue
                self._state.evaluation_due = self._passed(self.config.eval_every)
                if self._passed(self.config.checkpoint_every):
                    self._save()
            if "after" not in self.results:  # else it was complete, and was resumed
                self.results["after"] = self._evaluate("after", self.method.evaluated())
                if ranks.is_first():
                    self.folder.write_eval({"step": self.step, **self.results["after"]})
                self._state.judge(self.results["after"])
                self._save()
        return self.results

    @property
    def step(self) -> int:
        """Agent steps so far, summed over the environments; updates, of an offline method."""
        return self._state.step

    @property
    def saved(self) -> int | None:
        """The step of the last checkpoint; None before the first."""
        return self._state.saved

    @property
    def best(self) -> dict[str, Any] | None:
        """Step and mean score of the best evaluation; its checkpoint is ``checkpoints/best``."""
        return self._state.best

    @property
    def results(self) -> dict[str, Any]:
        """Evaluations so far, by name."""
        return self._state.results

    @property
    def _stride(self) -> int:
        """How far a step of the loop goes."""
        return 1 if self.method.offline else self.num_envs

    @property
    def progress(self) -> RunProgress:
        """What the display shows."""
        return RunProgress(
            step=self.step,
            steps=self.config.length,
            unit=self.config.length_flag,
            stride=self._stride,
            updates=self.method.updates,
            phase=self.method.phase(),
            random=self.results.get("random", {}).get("tasks", {}),
            recent=self.recent,
            time=self._watch.shares,
        )

    def close(self) -> None:
        """Closes the environments and the loggers, and lets others have the folder."""
        with contextlib.ExitStack() as closing:  # each, whatever happens to the others
            closing.callback(self.folder.close)
            closing.callback(self._thread.shutdown)
            if self._loggers is not None:
                closing.callback(self._loggers.close, complete=self.step >= self.config.length)
            closing.callback(self.env.close)

    # The parts of a step

    def _take_step(self) -> None:
        """Takes one step in every environment, and gives it to the method."""
        before = self._episodes.obs
        with self._watch.on("acting"):
            actions = self.method.act(before, self._episodes.first, self.step)
        # After acting: the actions have waited for the device, so that this does not.
        if self.method.broken():
            raise BrokenAgentError("a loss became NaN or infinite")
        obs, reward, terminated, truncated, infos = self._step_environments(actions)
        restarted = infos.get("restarted", np.zeros_like(truncated))
        lost = self._episodes.lost
        if lost.any():
            obs, reward, terminated, truncated, infos = self._episodes.end_lost(
                obs, reward, terminated, truncated, infos
            )
        whole = ~(restarted | lost)
        done = terminated | truncated
        final = obs
        if done.any():
            final = obs.copy()
            final[done] = np.stack(infos["final_obs"][done])
        check_numbers(self.env.tasks, reward, final, obs)
        self.method.remember(
            Step(before, actions, reward, final, terminated, truncated, whole, obs)
        )
        self._state.step += self.num_envs
        returns, lengths = self._episodes.step(actions, reward, done, obs)
        warnings = [
            f"task {self.env.tasks[i].versioned_name!r} (environment {i}) failed at step "
            f"{self.step} and was restarted; {int(self.env.failures.sum())} restarts so far"
            for i in np.flatnonzero(restarted)
        ]
        own = [
            Episode(
                self.env.tasks[i].versioned_name,
                float(infos["final_info"]["score"][i]),
                float(infos["final_info"]["success"][i]),
                float(returns[i]),
                int(lengths[i]),
            )
            for i in np.flatnonzero(done & whole)
        ]
        for ended, texts in ranks.gather((own, warnings)):
            for text in texts:
                self._display.warn(text)
            for episode in ended:
                self.recent.add(episode)
            self._write("train", ended)

    def _step_environments(self, actions: np.ndarray) -> tuple[Any, ...]:
        """Steps them; meanwhile takes updates, where the method can."""
        if not self.method.overlaps:
            with self._watch.on("simulation"):
                results: tuple[Any, ...] = self.env.step(actions)
            return results
        stepping = self._thread.submit(self.env.step, actions)
        try:
            self._learn()
        finally:  # whatever happens, no environment is left in the middle of a step
            with self._watch.on("simulation"):
                results = stepping.result()
        return results

    def _learn(self) -> None:
        """Takes the updates that are due."""
        with self._watch.on("learning"):
            metrics = self.method.learn(self.step)
        if self.method.offline:
            self._state.step = self.method.updates
        if metrics is not None and self._loggers is not None:
            self._loggers.losses(self.step, {n: float(value) for n, value in metrics.items()})
            self._loggers.time(self.step, self._watch.shares)
        self._display.advance(self.progress)

    def _write(self, phase: str, episodes: list[Episode]) -> None:
        if not ranks.is_first():
            return
        self.folder.metrics.append(
            [
                {
                    "step": self.step,
                    "phase": phase,
                    "task": episode.task,
                    "score": episode.score,
                    "success": episode.success,
                    "return": episode.episode_return,
                    "length": episode.length,
                    "seconds": round(self._state.seconds, 3),
                }
                for episode in episodes
            ]
        )

    def _save_now_and_then(self) -> None:
        """Saves after minutes in which many updates came between two steps."""
        if ranks.any_of(self._state.unsaved_seconds > _SAVE_SECONDS):
            self._save()

    def _passed(self, every: int) -> bool:
        """Whether the last step of the loop reached a multiple of ``every``."""
        return every > 0 and self.step // every > (self.step - self._stride) // every

    @contextlib.contextmanager
    def _heeding_stops(self) -> Iterator[None]:
        """Ends the run with a checkpoint where the user asks it to stop."""
        with stop_requests() as self._stop:
            try:
                yield
            except _StopRequested:
                self._save()
                raise Interrupted from None

    def _heed_stop(self) -> None:
        """Stops where any rank was asked to: all of them, at the same step."""
        if ranks.any_of(self._stop.is_set()):
            raise _StopRequested

    def _heed_own_stop(self) -> None:
        if self._stop.is_set():
            raise _StopRequested

    def _evaluate(self, phase: str, agent: Agent | None) -> dict[str, Any]:
        if agent is not None:
            self._check_agent()
        tasks = tuple(dict.fromkeys(self.env.tasks))
        total = self.config.eval_episodes * len(tasks)
        own: list[Episode] = []
        with self._display.evaluating(phase, total) as on_episode, self._watch.on("evaluation"):
            # Each rank is done at its own time, and a stop comes in the middle.
            with contextlib.suppress(_StopRequested):
                own = evaluate(
                    agent,
                    tasks,
                    self.config.eval_episodes,
                    self.config.seed + _EVAL_SEED,
                    on_episode,
                    self._heed_own_stop,
                    workers=self.env,
                    on_error=self.config.on_error,
                )
            self._heed_stop()
        episodes = [episode for some in ranks.gather(own) for episode in some]
        self._write(phase, episodes)
        if self.method.offline:  # there are no training episodes to show
            for episode in episodes:
                self.recent.add(episode)
        result = summarise(episodes, [*self.tasks, *self.missing])
        if agent is not None and self._loggers is not None:
            self._loggers.scores(self.step, result)
            self._loggers.time(self.step, self._watch.shares)
        return result

    def _check_agent(self) -> None:
        """Checks everything that was learned since the start or resumption.

        Raises:
            BrokenAgentError: A number is NaN or infinite.
        """
        broken = self.method.broken() or list(non_finite(self.agent.model.state_dict()))
        if broken:
            raise BrokenAgentError(f"{', '.join(broken[:4])} became NaN or infinite")

    # Starting, saving, resuming

    def _make_agent(self, method: type[Method], resume: bool) -> Agent:
        source = self.folder.last_checkpoint() if resume else self.config.checkpoint
        if source is None:
            return method.create_agent(self.config, self.tasks, self._device)
        agent = Agent.load(source, self._device)
        check_checkpoint(self.config, method.name, source, agent)
        agent.add_tasks(self.tasks)
        return method.adapted(self.config, agent)

    def _start(self) -> None:
        self._episodes.reset(environment_seed(self.config.seed))
        try:
            check_numbers(self.env.tasks, self._episodes.returns, self._episodes.obs)
        except UnusableNumberError as error:
            raise RunError(f"at step 0 {error}. Leave the task out with --tasks") from error
        self.method.begin(self._episodes.obs)
        if not ranks.is_first():
            return
        self.folder.write_config(
            {
                "method": self.method.name,
                "preset": self._preset,
                "protocol": self._protocol(),
                "config": self.config.to_dict(),
                "tasks": [task.versioned_name for task in self.tasks],
                "missing": [task.versioned_name for task in self.missing],
                "device": str(self._device),
                **provenance(),
            }
        )
        self.folder.metrics.begin()

    def _resume(self, state: TrainingState) -> None:
        for sentence in self._state.restore(state):
            self._display.warn(sentence)
        if not ranks.is_first():
            return
        # What was changed at this resumption holds at the next one too.
        stored = self.folder.read_config()
        self._preset = stored.get("preset", "")
        protocol = self._protocol()
        before = stored.get("protocol")
        if protocol and before and before["version"] != protocol["version"]:
            protocol["changed"].append(f"begun with version {before['version']}")
        settings = {"config": self.config.to_dict(), "device": str(self._device)}
        self.folder.write_config({**stored, **settings, "protocol": protocol})

    def _protocol(self) -> dict[str, Any] | None:
        own = label(type(self.method), self.config, self.tasks, str(self._device), self._preset)
        if own is not None:
            own["changed"].extend(self.method.unfollowed)
        return own

    def _save(self) -> None:
        self._check_agent()
        with self._display.saving(), self._watch.on("saving"):
            self._state.save()

    @contextlib.contextmanager
    def _foreign(self) -> Iterator[None]:
        """Around what a checkpoint holds: foreign names and shapes raise nearly anything."""
        try:
            yield
        except (RunError, EnvironmentFailure):
            raise
        except Exception as error:
            last = self.folder.last_checkpoint()
            raise RunError(f"{last} cannot be resumed from ({one_line(error)})") from error
