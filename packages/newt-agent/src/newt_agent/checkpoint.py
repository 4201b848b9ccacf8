"""Checkpoints that a run can be resumed from.

A checkpoint is a folder that appears under its name only when it is complete::

    checkpoints/<step>/
      model.safetensors    weights, target networks, task tables
      agent.json           method, sizes, encoder, tasks: with the weights, all that acting needs
      progress.json        step, counters, settings, versions
      manifest.json        checksums of all files
      training.safetensors running episodes; the method's optimizers, statistics, generators
      replay-*.safetensors the rows of the method's replay

The last two are in the newest checkpoint only. Where a run has several processes, each has these
for itself, named ``rank<k>-`` from the second one on; what all share is in the first one's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from torch import Tensor

from mmbench.evaluation import is_result
from mmbench.runs import RunError, RunFolder, provenance, read_json, verify_folder, write_json
from mmbench.runs.files import MANIFEST
from newt_agent import ranks
from newt_agent.agent import checkpoint_folder
from newt_agent.chance import environment_seed
from newt_agent.config import RunConfig
from newt_agent.episodes import RunningEpisodes
from newt_agent.method import Method
from newt_agent.methods import find_method
from newt_agent.saved_rows import (
    SomeRows,
    find_saved,
    load_rows,
    part_of,
    row_files,
    save_rows,
)
from newt_agent.tensors import entries, load_tensors, save_tensors

_TRAINING = "training.safetensors"
_PROGRESS = "progress.json"
_PROGRESS_KINDS: dict[str, type | tuple[type, ...]] = {
    "step": int,
    "updates": int,
    "seconds": (int, float),
    "metrics_bytes": int,
    "results": dict,
    "evaluation_due": bool,
    "config": dict,
    "method": str,
    "environments": list,
    "best": (dict, NoneType),
}
"""The keys of progress.json that resuming needs, with the types of their values."""


@dataclass
class TrainingState:
    """What a checkpoint holds besides the agent and the replay's rows.

    Attributes:
        checkpoint: Its folder.
        episodes: Of :meth:`newt_agent.episodes.RunningEpisodes.state`.
        method: Of :meth:`newt_agent.method.Method.state`.
        progress: Plain values.

    Where another number of processes saved it, there are no episodes, and of the method only what
    all of them shared.
    """

    checkpoint: Path
    episodes: dict[str, Tensor]
    method: dict[str, Tensor]
    progress: dict[str, Any]

    @property
    def environments(self) -> list[list[str]]:
        """Of each process that saved it, the tasks of its environments."""
        names: list[list[str]] = self.progress["environments"]
        return names


class RunState:
    """What a run has come to: all that a checkpoint holds and a resumption brings back.

    Args:
        folder: The run's folder.
        config: Its settings.
        method: What learns.
        episodes: The episodes that the run is in the middle of.
        environments: The tasks of this rank's environments, by name.

    Attributes:
        step: Agent steps so far, summed over the environments; updates, of an offline method.
        results: Evaluations so far, by name.
        evaluation_due: An evaluation comes before the next step.
        saved: The step of the last checkpoint; None before the first.
        best: Step and mean score of the best evaluation; None before the first with a score.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: RunConfig,
        method: Method,
        episodes: RunningEpisodes,
        environments: Sequence[str],
    ) -> None:
        self.step = 0
        self.results: dict[str, Any] = {}
        self.evaluation_due = False
        self.saved: int | None = None
        self.best: dict[str, Any] | None = None
        self._folder = folder
        self._config = config
        self._method = method
        self._episodes = episodes
        self._environments = list(environments)
        self._started = self._saved_at = time.perf_counter()

    @property
    def unsaved_seconds(self) -> float:
        """Time since the last checkpoint, or since the run went on."""
        return time.perf_counter() - self._saved_at

    @property
    def seconds(self) -> float:
        """Time spent on this run, interruptions left out."""
        return time.perf_counter() - self._started

    def judge(self, result: Mapping[str, Any]) -> bool:
        """Whether an evaluation of the agent as it is now is the best so far, or equals it.

        The checkpoint saved at this step is ``checkpoints/best`` then.
        """
        score = result["total"]["score"]
        if math.isnan(score) or (self.best is not None and score < self.best["score"]):
            return False
        self.best = {"step": self.step, "score": score}
        return True

    def save(self) -> None:
        """Writes a checkpoint; raises what :func:`save_checkpoint` does."""
        metrics = self._folder.metrics
        metrics.flush()
        progress = {
            "step": self.step,
            "updates": self._method.updates,
            "seconds": self.seconds,
            "metrics_bytes": metrics.size,
            "results": self.results,
            "evaluation_due": self.evaluation_due,
            "best": self.best,
            "method": self._method.name,
            "config": self._config.to_dict(),
            "environments": ranks.gather(self._environments),
            **provenance(),
        }
        tensors = {f"episodes/{name}": value for name, value in self._episodes.state().items()}
        of_first = tuple(f"{name}/" for name in self._method.shared_state)
        tensors |= {
            f"method/{name}": value
            for name, value in self._method.state().items()
            if ranks.is_first() or not name.startswith(of_first)
        }
        save_checkpoint(self._folder, self.step, self._method, tensors, progress)
        self._mark_best()
        self.saved = self.step
        self._saved_at = time.perf_counter()

    def _mark_best(self) -> None:
        """Points the link ``best`` where progress.json says, which was written before."""
        if self.best is not None and ranks.is_first():
            self._folder.mark_best(self.best["step"])

    def restore(self, state: TrainingState) -> list[str]:
        """Brings back what :meth:`save` wrote, the agent's weights aside.

        Returns:
            What did not come back exactly, a sentence each.
        """
        progress = state.progress
        self.step = self.saved = progress["step"]
        self.results = progress["results"]
        if self.step < self._config.length:
            self.results.pop("after", None)  # of a shorter run
        self.evaluation_due = progress["evaluation_due"]
        self.best = progress["best"]
        self._mark_best()
        self._started -= progress["seconds"]
        self._method.updates = progress["updates"]
        if len(state.environments) != ranks.count():
            return self._regroup(state)
        if self._method.replay is not None:
            load_rows(self._method.replay, state.checkpoint, ranks.rank())
        lost = (
            self._method.restore(state.method, self.step),
            self._restore_metrics(progress),
            self._episodes.restore(state.episodes),
        )
        return [sentence for sentence in lost if sentence]

    def _restore_metrics(self, progress: dict[str, Any]) -> str:
        if not ranks.is_first():
            return ""
        return self._folder.metrics.restore(progress["metrics_bytes"], self.step)

    def _regroup(self, state: TrainingState) -> list[str]:
        """Goes on in another number of processes: rows go to the rank that has their task now."""
        free: dict[str, list[int]] = {}
        for place, name in enumerate(self._environments):
            free.setdefault(name, []).append(place)
        for rank, names in enumerate(state.environments):
            places = [free[name].pop(0) if free.get(name) else -1 for name in names]
            if self._method.replay is not None:
                load_rows(SomeRows(self._method.replay, places), state.checkpoint, rank)
        lost = self._method.restore(state.method, self.step), self._restore_metrics(state.progress)
        self._episodes.reset(environment_seed(self._config.seed, self.step))
        self._method.begin(self._episodes.obs)
        told = (
            f"processes of the run: {ranks.count()}; {len(state.environments)} saved it. Episodes "
            "that were running are dropped, and the run will differ from one never stopped"
        )
        return [told, *filter(None, lost)]


def save_checkpoint(
    folder: RunFolder,
    step: int,
    method: Method,
    tensors: Mapping[str, Tensor],
    progress: dict[str, Any],
) -> Path:
    """Writes a checkpoint and points ``checkpoints/last`` at it.

    Older checkpoints keep what acting needs and lose what resuming needs, once the new one is
    complete.

    Args:
        folder: The run's.
        step: Agent steps taken.
        method: Whose agent and replay are saved.
        tensors: What else resuming needs.
        progress: The same, as plain values.

    Returns:
        The checkpoint's folder.

    Raises:
        RunError: A tensor holds NaN or infinity, or the run's folder is gone; the checkpoint
            before is as it was.
        OSError: The disk is full; the same.
    """
    replay = method.replay
    newest = folder.last_checkpoint() if folder.has_checkpoint else None
    if newest and not _of_same_ranks(newest, progress):
        newest = None
    saved = None if replay is None else find_saved(replay, newest)
    known: dict[str, str] = {}

    def fill(target: Path) -> None:
        save_tensors(target / _training_of(ranks.rank()), tensors)
        if replay is not None and saved is not None:
            save_rows(replay, target, saved)
        for checksums in ranks.gather(saved.checksums if saved else {}):
            known.update(checksums)
        # Now all have written their part.

    if not ranks.is_first():
        fill(Path(ranks.of_first("")))
        return Path(ranks.of_first(""))  # once it is published

    def fill_first(target: Path) -> None:
        method.agent.save(target)
        write_json(target / _PROGRESS, progress)
        fill(Path(ranks.of_first(str(target))))

    target = folder.publish_checkpoint(step, fill_first, known)
    ranks.of_first(str(target))
    for older in target.parent.iterdir():
        if older.is_dir() and not older.is_symlink() and older != target:
            _keep_what_acts(older)
    return target


def load_training_state(checkpoint: Path) -> TrainingState:
    """Reads what :func:`save_checkpoint` wrote besides the agent.

    Raises:
        RunError: The checkpoint is incomplete or damaged, or a tensor holds NaN or infinity.
    """
    verify_folder(checkpoint)
    progress = read_json(checkpoint / _PROGRESS)
    progress.setdefault("environments", [[]])  # of a version that knew one process only
    progress.setdefault("best", None)  # of one that did not mark it
    for name, kind in _PROGRESS_KINDS.items():
        if not isinstance(progress.get(name), kind):
            raise RunError(
                f"{checkpoint / _PROGRESS} is damaged: {name!r} is {progress.get(name)!r:.40}"
            )
    tasks: set[frozenset[str]] = set()
    for name, result in progress["results"].items():
        if is_result(result):
            tasks.add(frozenset(result["tasks"]))
        if not is_result(result) or len(tasks) > 1:
            raise RunError(f"{checkpoint / _PROGRESS} is damaged: {name!r} is no such evaluation")
    own = ranks.rank() if len(progress["environments"]) == ranks.count() else None
    first = load_tensors(checkpoint / _training_of(0))
    method = entries(first, "method")
    tensors = first if own == 0 else {}
    if own != 0:
        shared = tuple(f"{name}/" for name in find_method(progress["method"]).shared_state)
        method = {name: value for name, value in method.items() if name.startswith(shared)}
    if own:
        tensors = load_tensors(checkpoint / _training_of(own))
        method |= entries(tensors, "method")
    return TrainingState(checkpoint, entries(tensors, "episodes"), method, progress)


def run_config(path: str | Path) -> RunConfig | None:
    """Returns the settings of the run that made a checkpoint; None for an agent without a run.

    Args:
        path: A checkpoint's folder, or that of a run (then its last checkpoint).

    Raises:
        RunError: There is no checkpoint.
    """
    progress = checkpoint_folder(path) / _PROGRESS
    try:
        stored = read_json(progress)
        return find_method(stored["method"]).config_class.from_dict(stored["config"])
    except (RunError, AttributeError, KeyError, TypeError):
        return None


def _of_same_ranks(checkpoint: Path, progress: dict[str, Any]) -> bool:
    """Whether the same processes saved a checkpoint; else its rows are divided otherwise."""
    try:
        before = read_json(checkpoint / _PROGRESS)
    except RunError:
        return False
    return bool(before.get("environments") == progress.get("environments"))


def _training_of(rank: int) -> str:
    return part_of(rank) + _TRAINING


def _keep_what_acts(checkpoint: Path) -> None:
    """Removes what only resuming needs."""
    manifest = checkpoint / MANIFEST
    gone = [*checkpoint.glob(f"*{_TRAINING}"), *row_files(checkpoint)]
    try:
        files = read_json(manifest)
    except RunError:
        return  # somebody damaged it: no reason to end a run
    kept = {name: files[name] for name in files if checkpoint / name not in gone}
    if kept != files:
        write_json(manifest, kept)  # first, so that the folder verifies at every moment
    for path in gone:
        path.unlink()
