"""Where a result came from: versions, commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from mmbench.catalog import domains

_LIBRARIES = (
    "mmbench",
    "miniarcade",
    "newt-agent",
    "mmbench-baselines",
    "gymnasium",
    "numpy",
    "torch",
)


def packages() -> tuple[str, ...]:
    """Returns the distributions whose version may change a result, those of every domain too."""
    from packaging.requirements import Requirement  # late: few commands need it

    simulators = (Requirement(line).name for domain in domains() for line in domain.packages)
    return tuple(dict.fromkeys((*_LIBRARIES, *simulators)))


def provenance() -> dict[str, object]:
    """Returns versions of the simulators and libraries, the git commit and the machine."""
    # Imported here: it takes as long as the rest of `import mmbench`.
    import importlib.metadata

    versions = {}
    for name in packages():
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    }


def _commit() -> str | None:
    """The commit of the checkout that this code runs from, with ``+`` if it was changed."""
    here = Path(__file__).parent
    try:
        _git(here, "ls-files", "--error-unmatch", __file__)
        head = _git(here, "rev-parse", "HEAD")
        return head + ("+" if _git(here, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None  # installed, not run from a checkout


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return result.stdout.strip()
