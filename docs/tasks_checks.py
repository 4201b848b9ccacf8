"""What each task is checked by, found out from the recordings and from the tests themselves.

pytest lists the tests, with the parameters they run with; a test is about the tasks that its
parameters or the strings in its body name. What kind of check it is, its name says (`KINDS`).
"""

import ast
import fnmatch
import glob
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmbench.assets import required_asset
from mmbench.catalog import DOMAINS, TASKS, Task

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests" / "reference"
ARCADE_REFERENCE = ROOT / "packages" / "miniarcade" / "tests" / "reference"

RECORDINGS = {
    ".npz": "recorded steps",
    ".rollout.npz": "recorded rollouts",
    ".json": "recorded episodes",
}
"""Kinds of recordings of the published benchmark, by the ending of their files."""

ARCADE_RECORDINGS = ["recorded steps", "recorded episodes"]
"""Those of a MiniArcade task: its steps lie in a file of its own, its episodes in that of all."""

_RECORDED = "recorded"
"""The kind of a test that compares with recordings."""

_CORRECTED = "v1"
"""The kind of a test that shows what a corrected version corrects."""

KINDS = {
    "package": r"(package|dm_control).*(does|s)$|to_the_last_bit",
    "rewards": (
        r"reward|formula|pays|paid|bonus|success|succeed|scores?_|by_hand|at_the_goal"
        r"|scripted_actions"
    ),
    _CORRECTED: r"version_1|_v1|corrected",
}
"""Kinds of checks in the tests, by a regular expression over the names of test functions."""

ONLY_GENERIC = "every task's tests"
STAND_IN = "stand-in assets"
UNTESTED = "nothing"

_GAMES = {task.native: task.name for task in TASKS if task.domain == "miniarcade"}
"""Names of MiniArcade's tasks, by those in its own tests."""

_LABELS = {
    label: (task.name, task.version)
    for task in TASKS
    for label in (f"{task.name}-v{task.version}", task.name)
    if task.version == 0 or label != task.name
}
"""Name and version, by what a string may call a task."""


def test_files(domain: str) -> list[Path]:
    """The test files that are about one domain."""
    stem = domain.replace("-", "_")
    others = [other.replace("-", "_") for other in DOMAINS if other.startswith(f"{domain}-")]
    found = [
        path
        for folder in (ROOT / "tests", ROOT / "packages" / "mmbench" / "tests")
        for path in folder.glob(f"test_{stem}*.py")
        if not any(path.stem.startswith(f"test_{other}") for other in others)
    ]
    if domain == "miniarcade":
        found += (ROOT / "packages" / "miniarcade" / "tests").glob("test_*.py")
    return sorted(found)


def recordings(task: Task) -> list[str]:
    """The kinds of recordings there are of a task; the published one was recorded."""
    if task.version > 0:
        return []
    if task.domain == "miniarcade":
        recorded = (ARCADE_REFERENCE / f"{task.native}.json.gz").is_file()
        return ARCADE_RECORDINGS if recorded else []
    stem = REFERENCE / task.domain / task.name
    return [kind for ending, kind in RECORDINGS.items() if Path(f"{stem}{ending}").is_file()]


def checks() -> dict[str, str]:
    """Returns what every record of the catalogue is checked by, by id. Runs pytest's collection."""
    found = _kinds_of_tests()
    stood_in = {
        task.native
        for task in TASKS
        if required_asset(task) and "rewards" in found[task.name, task.version]
    }
    corrections = {
        (task.domain, task.differs)
        for task in TASKS
        if task.version > 0 and _CORRECTED in found[task.name, task.version]
    }
    cells = {}
    for task in TASKS:
        of_tests = found[task.name, task.version]
        if (task.domain, task.differs) in corrections:  # the same one, shown in another task
            of_tests = of_tests | {_CORRECTED}
        kinds = [kind for kind in KINDS if kind in of_tests]
        if _RECORDED in of_tests:
            kinds = recordings(task) + kinds
        if required_asset(task):
            kinds = [STAND_IN] if task.native in stood_in else []
        otherwise = UNTESTED if required_asset(task) else ONLY_GENERIC
        cells[task.id] = ", ".join(kinds) or otherwise
    return cells


def _kinds_of_tests() -> Mapping[tuple[str, int], set[str]]:
    """The kinds of checks by name and version of the task."""
    files = {path: domain for domain in DOMAINS for path in test_files(domain)}
    bodies = {path: _named_in_bodies(path) for path in files}
    found: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for path, function, parameters in _collect(files):
        patterns = {**KINDS, _RECORDED: r"record|fingerprint"}
        kinds = [kind for kind, pattern in patterns.items() if re.search(pattern, function)]
        if not kinds:
            continue
        here = {task.name for task in TASKS if task.domain == files[path]}
        named = set(_names_in(parameters, here)) or bodies[path].get(function, set())
        for name, version in named:
            if name in here:
                found[name, version].update(set(kinds) - {_CORRECTED})
                if _CORRECTED in kinds:  # which compares it with the published version
                    found[name, 1].add(_CORRECTED)
    return found


def _collect(files: Iterable[Path]) -> Iterator[tuple[Path, str, str]]:
    """Yields file, function and parameters of every test, without running any."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-m", "slow or not slow", "-q"]
        + ["--collect-only", "-p", "no:cacheprovider", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"pytest cannot list the tests:\n{done.stdout[-3000:]}{done.stderr}")
    for line in done.stdout.splitlines():
        path, _, test = line.partition("::")
        if test:
            function, _, parameters = test.rpartition("::")[2].partition("[")
            yield ROOT / path, function, parameters.rstrip("]")


def _names_in(text: str, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yields name and version of the tasks named in a text, taking the longest name that fits."""
    known = {**{name: name for name in names}, **_GAMES}
    longest_first = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    for match in re.finditer(rf"(?<![\w.])({longest_first})(?:-v(\d+))?(?![\w.])", text):
        yield known[match.group(1)], int(match.group(2) or 0)


def _named_in_bodies(path: Path) -> dict[str, set[tuple[str, int]]]:
    """The tasks that the test functions of a file name in their bodies."""
    found: dict[str, set[tuple[str, int]]] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            named = found.setdefault(node.name, set())
            for text in _strings(node):
                pattern = text.removeprefix("mmbench/")
                named |= {_LABELS[label] for label in fnmatch.filter(_LABELS, pattern)}
    return found


def _strings(function: ast.FunctionDef) -> Iterator[str]:
    """Yields the strings of a function's body; what an f-string inserts is a `*`."""
    inside: set[ast.AST] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.JoinedStr):
            inside.update(node.values)
            parts = (part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
            text = "".join(map(str, parts))
            if len(text.removeprefix("mmbench/").strip("*")) > 2:  # more than what is inserted
                yield text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield glob.escape(node.value)
