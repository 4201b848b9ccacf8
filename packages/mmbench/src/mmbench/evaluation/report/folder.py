"""The folder of a report: a new report takes the place of all that an older one wrote."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from mmbench.evaluation.report.results import Result
from mmbench.runs import RunError, check_writable, to_json, write_atomically
from mmbench.runs.files import hidden_name

PAGE = "report.html"

RESULTS = "results"
"""The folder of the result files."""

_LIST = ".report"
"""Names what the last report wrote, one file a line: the next one removes that and nothing else."""

_LONGEST = 180
"""Characters of a method in a file's name; file systems allow 255 in all."""


def make_folder(out: Path, results: Sequence[Result]) -> None:
    """Makes the folder, and checks that a report of these results can be written into it.

    Raises:
        RunError: It cannot, or it would remove what the results were read from.
    """
    for result in results:
        if Path(result.source).resolve().parent == (out / RESULTS).resolve():
            raise RunError(
                f"{result.source} belongs to the report in {out}, which this one would replace: "
                "choose another --out"
            )
    try:
        (out / RESULTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"--out {out}: no folder can be made there ({error.strerror})") from error
    check_writable(out / PAGE)


def publish(out: Path, content: Mapping[str, str | bytes]) -> None:
    """Writes all files of a report, or none; then removes those of the report before it.

    Args:
        out: What :func:`make_folder` made.
        content: Of each file, by its path in the folder.

    Raises:
        RunError: A folder, or another thing that is no file, has the name of one.
    """
    for name in content:
        if (out / name).exists() and not (out / name).is_file():
            raise RunError(
                f"{out / name} is not a file, and the report writes one of this name: move it, or "
                "choose another --out"
            )
    staged = hidden_name(out / "report")
    try:
        (staged / RESULTS).mkdir(parents=True)
        for name, data in content.items():
            write_atomically(staged / name, data)
        # Listed before they have their names: a report that is killed here leaves nothing for good.
        older = _listed(out)
        _write_list(out, older | set(content))
        for name in content:
            os.replace(staged / name, out / name)
        for path in (*out.iterdir(), *(out / RESULTS).iterdir()):
            name = path.relative_to(out).as_posix()
            if name in older and name not in content:
                path.unlink()
        _write_list(out, set(content))
    except OSError as error:
        error.filename, error.filename2 = str(out), None  # nobody knows the hidden names
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def result_files(results: Sequence[Result]) -> dict[str, str]:
    """Returns the content of each result's file, by its path in the report's folder.

    No two have one name, even where the file system takes capitals for small letters.
    """
    files: dict[str, str] = {}
    taken: set[str] = set()
    for result in results:
        method = quote(result.method, safe="")[:_LONGEST]
        name = f"{method}-{result.seed}"
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        files[f"{RESULTS}/{name}.json"] = to_json(result.to_dict()) + "\n"
    return files


def _listed(out: Path) -> set[str]:
    path = out / _LIST
    return set(path.read_text(errors="replace").splitlines()) if path.is_file() else set()


def _write_list(out: Path, names: set[str]) -> None:
    write_atomically(out / _LIST, "".join(f"{name}\n" for name in sorted(names)))
