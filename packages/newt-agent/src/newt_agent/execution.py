"""How the arithmetic of updates and plans is run: as written, as a CUDA graph, or compiled.

An update of a large model on a GPU is a thousand small kernels, and starting them takes longer than
running them. A CUDA graph starts them all at once. A compiler makes fewer of them; it takes up to
some minutes at the start of a run, and keeps what it made for the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from mmbench.runs import RunError
from newt_agent.config import Execution

Function = TypeVar("Function", bound=Callable[..., Any])

_UNRECORDED = 3
"""Calls before a graph is recorded: they allocate, compile, and make what optimizers keep."""
_COMPILERS = ("cc", "gcc", "clang", "g++", "c++", "clang++")


def resolve_execution(wanted: Execution, device: torch.device) -> Execution:
    """Returns how to run on a device; not ``auto``.

    Raises:
        RunError: The way does not exist there.
    """
    if wanted == "auto":
        return "graph" if device.type == "cuda" else "eager"
    if wanted == "graph" and device.type != "cuda":
        raise RunError("execution=graph: only a GPU has CUDA graphs; leave --execution out")
    if wanted == "compile" and not any(map(shutil.which, _COMPILERS)):
        raise RunError(
            "execution=compile: PyTorch needs a C++ compiler, and none is here; install g++, or "
            "leave --execution out"
        )
    return wanted


def compiled(function: Function, execution: Execution) -> Function:
    """Compiles a function of tensors, where that is asked for; the shapes are fixed."""
    if execution != "compile":
        return function
    return cast(Function, torch.compile(function, fullgraph=True, dynamic=False))


def recorded(function: Callable[..., Any], execution: Execution) -> Callable[..., Any]:
    """Runs a function of tensors as CUDA graphs, where that is asked for; see :class:`Graphs`."""
    if execution == "eager" or not torch.cuda.is_available():
        return function
    return Graphs(function)


class Graphs:
    """A function of tensors that is run as a CUDA graph, one for each shape of its arguments.

    The first calls run as written. Then one is recorded, and from then on replayed. What the
    function changes in place, weights and moments, changes at each call. It must not wait for the
    device, nor look at numbers.

    Args:
        function: From tensors, and tuples of tensors and None, to a tensor or a tuple of tensors.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._graphs: dict[tuple[Any, ...], _Graph] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Runs the function; the results are the caller's to keep."""
        key = tuple(None if x is None else (x.shape, x.dtype) for x in _flat(arguments))
        if key not in self._graphs:
            self._graphs[key] = _Graph(self._function)
        return self._graphs[key](arguments)


class _Graph:
    """The graph for one shape of the arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream()
        self._inputs: Any = None
        self._outputs: Any = None

    def __call__(self, arguments: Any) -> Any:
        if self._calls < _UNRECORDED:
            self._calls += 1
            return self._unrecorded(arguments)
        if self._graph is None:
            self._record(arguments)
        for own, given in zip(_flat(self._inputs), _flat(arguments), strict=True):
            if own is not None and given is not None:
                own.copy_(given)
        assert self._graph is not None
        self._graph.replay()
        return _clone(self._outputs)

    def _unrecorded(self, arguments: Any) -> Any:
        """Runs the function on the stream on which it is recorded later."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = self._function(*arguments)
        current.wait_stream(self._stream)
        return _clone(result)

    def _record(self, arguments: Any) -> None:
        self._inputs = _clone(arguments)
        graph = torch.cuda.CUDAGraph()
        # Recording runs nothing: the numbers are as before.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._outputs = self._function(*self._inputs)
        self._graph = graph


def _flat(tree: Any) -> list[Tensor | None]:
    """The tensors of nested tuples, in order."""
    if tree is None or isinstance(tree, Tensor):
        return [tree]
    return [leaf for part in tree for leaf in _flat(part)]


def _clone(tree: Any) -> Any:
    """Nested tuples of the same kinds, with copies of the tensors."""
    if tree is None or isinstance(tree, Tensor):
        return None if tree is None else tree.clone()
    parts = [_clone(part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
