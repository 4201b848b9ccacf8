"""Kills a save at every point: `python kill_points.py WORK STEP`, prints what was found as JSON.

Forks a process for each point, which saves a checkpoint of STEP into a run that holds one of step
800, and is killed before the n-th operation on the file system.
"""

import functools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from mmbench.runs import RunFolder, verify_folder

CHANGES = ("open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir")
CHANGES += ("os.symlink", "os.truncate")


def fill_with(text: str):
    def fill(folder: Path) -> None:
        for name in ("weights", "replay"):
            (folder / name).write_text(text)

    return fill


def die_before(point: int) -> None:
    """From now on this process dies before the operation number ``point``."""
    left = point

    def count(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in CHANGES:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def killed(work: Callable[[], object], point: int) -> bool:
    """Whether a child died that does the work, up to the operation number ``point``."""
    child = os.fork()
    if not child:
        die_before(point)
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def save(path: Path, step: int) -> None:
    RunFolder.resume(path).publish_checkpoint(step, fill_with("new"))


def found(path: Path) -> str:
    """What the newest checkpoint holds."""
    checkpoint = (path / "checkpoints" / "last").resolve(strict=True)
    assert checkpoint == RunFolder.open(path).last_checkpoint()
    verify_folder(checkpoint)
    (text,) = {(checkpoint / name).read_text() for name in ("weights", "replay")}
    return text


def main(work: Path, step: int) -> None:
    run = RunFolder.create(work / "whole", "test")
    run.write_config({})
    run.publish_checkpoint(800, fill_with("old"))
    run.close()
    held, tidy, left = [], [], []
    point = 1
    while True:
        path = work / str(point)
        shutil.copytree(work / "whole", path, symlinks=True)
        if not killed(functools.partial(save, path, step), point):
            break
        held.append(found(path))
        run = RunFolder.resume(path)
        held_after = found(path)
        assert held_after == held[-1]
        left.append(sorted(p.name for p in (path / "checkpoints").iterdir()))
        run.publish_checkpoint(2400, fill_with("next"))
        run.close()
        tidy.append(sorted(p.name for p in path.rglob("*") if p.name.startswith(".")))
        assert found(path) == "next"
        shutil.rmtree(path)
        point += 1
    print(json.dumps({"held": held, "left": left, "tidy": tidy}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
