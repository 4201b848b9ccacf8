"""Kills a save at every point: `python kill_points.py WORK STEP`, prints what was found as JSON.

Forks a process for each point, which saves a checkpoint of STEP into a run that holds one of step
800, and is killed before the n-th operation on the file system.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from mmbench.runs import RunFolder, verify_folder

CHANGES = ("open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir")
CHANGES += ("os.symlink", "os.truncate")


def fill_with(text: str):
    def fill(folder: Path) -> None:
        for name in ("weights", "replay"):
            (folder / name).write_text(text)

    return fill


def save_and_die(path: Path, step: int, point: int) -> None:
    """Saves; dies before the operation number ``point``, if there are as many."""
    left = point

    def count(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in CHANGES:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    run = RunFolder.resume(path)
    sys.addaudithook(count)
    run.publish_checkpoint(step, fill_with("new"))


def killed(path: Path, step: int, point: int) -> bool:
    child = os.fork()
    if not child:
        save_and_die(path, step, point)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


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
        if not killed(path, step, point):
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
