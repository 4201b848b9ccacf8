"""Tensors on the disk, as safetensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from mmbench.runs import RunError, one_line
from newt_agent.finite import non_finite

_SYSTEM_ERROR = re.compile(r"os error (\d+)")


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors to a new file.

    Raises:
        RunError: A tensor holds NaN or infinity; nothing is written.
        OSError: The disk is full, or the file cannot be written.
    """
    check_finite(path, tensors)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(plain, path)
    except SafetensorError as error:
        number = _SYSTEM_ERROR.search(str(error))
        if number is None:
            raise
        raise OSError(int(number.group(1)), str(error), str(path)) from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a file that :func:`save_tensors` wrote, onto the CPU.

    Raises:
        RunError: It is missing, or not such a file, or a tensor holds NaN or infinity.
    """
    try:
        tensors = safetensors.torch.load_file(path)
        check_finite(path, tensors)
    except RunError:
        raise
    except Exception as error:  # a foreign file may raise nearly anything
        raise RunError(f"{path} cannot be read ({one_line(error)})") from error
    return tensors


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Checks that every number is finite.

    Args:
        path: Where the tensors are from or go to, for the message.
        tensors: Of any type.

    Raises:
        RunError: One is not; the tensor is named.
    """
    for name, value in non_finite(tensors).items():
        raise RunError(f"{path}: the tensor {name!r} holds {value}")


def entries(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    """Returns the tensors named ``<group>/<name>``, by name."""
    start = f"{group}/"
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
