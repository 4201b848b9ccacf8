"""The processes of one run, which `torchrun` starts; without it there is one.

Each process, a rank, has a part of the tasks, with their environments and their rows of the replay,
and its own copy of the networks. In each update every rank takes its part of the batch, and all
take the same step: gradients are averaged, and what counts over a batch is computed from all of it.
So K ranks learn as one would from the union of their batches. Rank 0 writes the run's folder and
shows it.

What is exchanged each step (who wants to stop, which episodes ended) goes over gloo, from memory to
memory; gradients go where they are, over NCCL between GPUs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from mmbench.runs import RunError

T = TypeVar("T")
P = ParamSpec("P")

_LOST_SECONDS = 3.0
"""How long to look for the process that has ended, when an exchange fails."""

_processes: list[tuple[str, int]] = []
"""Host and number of each process, by rank."""


class RankLostError(Exception):
    """A process of the run has ended before the others."""


@contextlib.contextmanager
def joined(device: str) -> Iterator[None]:
    """Joins the processes that `torchrun` has started, and leaves them in the end.

    Args:
        device: ``cpu`` or ``cuda``; then each process takes the GPU of its number on this host.

    Raises:
        RunError: The others cannot be reached, or there are not enough GPUs.
    """
    if not _is_one_of_many():
        yield
        return
    if device == "cuda":
        local, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= there:
            raise RunError(
                f"torchrun started {_started_here()} processes here, and there are {there} GPUs: "
                f"give --nproc-per-node {there}"
            )
        torch.cuda.set_device(local)
    _take_own_cores()
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise RunError(f"the processes of torchrun do not find each other: {error}") from error
    _processes[:] = gather((socket.gethostname(), os.getpid()))
    try:
        yield
    finally:
        # Where one is lost, or stops at an error, there is nobody to wait for.
        dist.destroy_process_group()


def _take_own_cores() -> None:
    """Keeps to this rank's part of the host's cores, where there is one for each."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[int(os.environ["LOCAL_RANK"]) :: _started_here()]
        if cores:
            os.sched_setaffinity(0, cores)


def _is_one_of_many() -> bool:
    """Whether `torchrun` has started this process, and others beside it."""
    return "LOCAL_RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def _started_here() -> int:
    return int(os.environ["LOCAL_WORLD_SIZE"])


def count() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which one this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this one writes the run's folder and shows it; known before :func:`joined`, too."""
    return not _is_one_of_many() or os.environ["RANK"] == "0"


def named(program: str) -> str:
    """The name of a program for its messages: with the rank, in all but the first one."""
    return program if is_first() else f"{program} (rank {os.environ['RANK']})"


def local_count() -> int:
    """How many there are on this host, which share its cores and its memory."""
    return _started_here() if dist.is_initialized() else 1


def own(items: Sequence[T]) -> Sequence[T]:
    """This one's part of what is divided: every K-th, so that neighbours go to different ranks."""
    return items[rank() :: count()]


def own_entropy() -> tuple[int, ...]:
    """What a seed needs besides, so that this rank draws something else; nothing, of rank 0."""
    return (rank(),) if rank() else ()


# Exchanges. Every rank has to call the same ones, in the same order.


def _exchange(function: Callable[P, T]) -> Callable[P, T]:
    """Says who is lost where an exchange fails."""

    def exchange(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raise RankLostError(_who_is_lost()) from error

    return exchange


@_exchange
def gather(value: T) -> list[T]:
    """Returns what each rank gives, any small object, by rank."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    dist.all_gather_object(values, value)
    return values


@_exchange
def of_first(value: T) -> T:
    """Returns what rank 0 gives."""
    if count() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


@_exchange
def any_of(flag: bool) -> bool:
    """Whether it is so in any rank."""
    if count() == 1:
        return flag
    flags = torch.tensor(int(flag))
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)


@_exchange
def sum_(tensor: Tensor) -> None:
    """Adds up a tensor over all ranks, in place."""
    if count() > 1:
        dist.all_reduce(tensor)


@contextlib.contextmanager
def one_per_host_first() -> Iterator[None]:
    """Lets one process of each host do something before the others, which find it done."""
    if count() == 1:
        yield
        return
    first = int(os.environ["LOCAL_RANK"]) == 0
    if not first:
        gather(None)
    yield
    if first:
        gather(None)


class Share(NamedTuple):
    """A rank's part of a batch: the samples from ``begin`` to ``end`` of ``total``."""

    begin: int
    end: int
    total: int

    @property
    def size(self) -> int:
        """How many samples."""
        return self.end - self.begin

    @property
    def weight(self) -> float:
        """How much a mean over this part counts in a mean over all."""
        return self.size / self.total

    @classmethod
    def of(cls, total: int, weight: int) -> Share:
        """Divides a batch among the ranks.

        Args:
            total: Its size.
            weight: Of this rank: how many environments it has.

        Raises:
            RunError: Some rank would have nothing of it.
        """
        weights = gather(weight)
        ends = [round(total * sum(weights[:k]) / sum(weights)) for k in range(count() + 1)]
        shares = [cls(begin, end, total) for begin, end in itertools.pairwise(ends)]
        if min(share.size for share in shares) < 1:
            raise RunError(f"batch_size={total}: too small for {count()} processes")
        return shares[rank()]

    def mean_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors, each a mean over this part, by their means over the whole batch."""
        if count() == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).mul_(self.weight)
        sum_(flat)
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def union(self, values: Tensor) -> Tensor:
        """Returns the values of all samples, ``[total]``, from those of this part, ``[size]``."""
        if count() == 1:
            return values
        everything = values.new_zeros(self.total)
        everything[self.begin : self.end] = values
        sum_(everything)
        return everything


def ignore_termination() -> None:
    """Lets this process say why it ends: `torchrun` terminates all once it has lost one."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _who_is_lost() -> str:
    """Names the process of this host that is no longer there."""
    here, until = socket.gethostname(), time.monotonic() + _LOST_SECONDS
    while time.monotonic() < until:
        for number, (host, process) in enumerate(_processes):
            if host == here and not _is_there(process):
                return f"rank {number} (process {process} on {host}) has ended"
        time.sleep(0.05)
    return "a rank on another host has ended, or cannot be reached; torchrun says which"


def _is_there(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
