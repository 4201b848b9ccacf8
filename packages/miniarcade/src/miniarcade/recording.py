"""Recordings of a game as animated GIFs; needs the extra `record`."""

import os
from pathlib import Path
from typing import Any

import numpy as np


class Recorder:
    """Collects frames and writes them to a file in the end."""

    def __init__(self, path: str, fps: int) -> None:
        """Makes sure that the recording can be written.

        Args:
            path: The file, which ends in `.gif`.
            fps: Frames a second.

        Raises:
            ImportError: If the extra is not installed.
            ValueError: If the file cannot be a GIF in an existing folder.
        """
        try:
            import imageio.v3
        except ImportError as error:
            # `uv run` sets this variable; where it is set, pip may not be there.
            pip = "uv pip" if "UV_RUN_RECURSION_DEPTH" in os.environ else "pip"
            raise ImportError(
                f"recordings need the extra `record`: {pip} install 'miniarcade[record]'"
            ) from error
        self.path = Path(path)
        if self.path.suffix.lower() != ".gif":
            raise ValueError(f"recordings are GIFs: {path!r} does not end in .gif")
        if not self.path.parent.is_dir():
            raise ValueError(f"there is no folder {str(self.path.parent)!r} to record to")
        self.frames: list[np.ndarray] = []
        self._fps = fps
        self._imageio: Any = imageio.v3

    def add(self, frame: np.ndarray) -> None:
        """Adds a frame, (height, width, 3) of uint8."""
        self.frames.append(frame)

    def write(self) -> None:
        """Writes the file, unless there is nothing to write."""
        if self.frames:
            self._imageio.imwrite(self.path, self.frames, duration=1000 / self._fps, loop=0)
