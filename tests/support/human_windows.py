"""Windows of tasks; as a program it shows them on a screen of its own and tells what was there.

`human_windows.py FOLDER TASK ...` prints a JSON object of task and result. With a folder, the
screens are saved there as `TASK.npy` for whoever wants to look.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from virtual_screen import Screen

from mmbench.catalog import get
from mmbench.domains import unavailable
from mmbench.env import TaskEnv


def assert_shown(names, **variables):
    """Has the program show those tasks that can run here.

    Args:
        names: Of the tasks.
        **variables: Of its environment, such as the OpenGL backend, which is chosen for good.
    """
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb (apt-get install xvfb)")
    names = [name for name in names if unavailable(get(name)) is None]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SDL_", "DISPLAY"))}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "", *names],
        env={**environment, **variables, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.stdout, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == {name: "shown" for name in names}


def show(name: str, screen: Screen, folder: str) -> str:
    """``shown``, or what is wrong."""
    env, plain = (TaskEnv(name, render_mode=mode) for mode in ("human", "rgb_array"))
    action = np.full(env.action_space.shape, 0.3, np.float32)
    for one in (env, plain):
        one.reset(seed=0)
        one.step(action)
    frame = plain.render()
    shown = screen.shows(frame.repeat(3, axis=0).repeat(3, axis=1))
    if folder:
        np.save(Path(folder) / f"{name}.npy", screen.pixels())
    env.close()
    env.close()
    gone = not screen.wait_for(lambda pixels: not pixels.any()).any()
    again = np.array_equal(plain.render(), frame)
    plain.close()
    return "shown" if shown and gone and again else f"{shown=} {gone=} {again=}"


def main(folder: str, names: list[str]) -> None:
    """Shows one after the other."""
    with tempfile.TemporaryDirectory() as place:
        screen = Screen(Path(place))
        os.environ.update(DISPLAY=screen.display, SDL_VIDEO_WINDOW_POS="0,0")
        try:
            print(json.dumps({name: show(name, screen, folder) for name in names}))
        finally:
            screen.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
