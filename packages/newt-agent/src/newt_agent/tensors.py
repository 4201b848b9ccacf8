"""Tensors on the disk, as safetensors."""

from __future__ import annotations

import re
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from mmbench.runs import RunError

_SYSTEM_ERROR = re.compile(r"os error (\d+)")


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes tensors to a new file.

    Raises:
        OSError: The disk is full, or the file cannot be written.
    """
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
        RunError: It is missing, or not such a file.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
