"""Fetches the published demonstrations from the Hugging Face hub, when somebody asks for them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mmbench.assets.fetch import Progress, fetch
from mmbench.catalog import Task
from mmbench.demos.places import root_folder
from mmbench.demos.published import SUFFIX
from mmbench.runs import RunError
from mmbench.runs.files import remove
from mmbench.runs.lock import FolderLock

_TIMEOUT = 30.0  # seconds
_MOST_BYTES = 64_000_000  # of the list of files


class HubFile(NamedTuple):
    """One file of a dataset on the hub.

    Attributes:
        url: Of this very version of it.
        size: Bytes, or 0 where the hub does not say.
        sha256: Of its content, or empty where the hub does not say.
    """

    url: str
    size: int
    sha256: str


def published_files(repo: str, tasks: Iterable[Task]) -> dict[Task, HubFile]:
    """Asks the hub which tasks a dataset has files of.

    Args:
        repo: ``owner/name``. The files may lie in any folder of it.
        tasks: The tasks to look for.

    Returns:
        The files of those that it has, all of one version of the dataset.

    Raises:
        RunError: No network, no such dataset, or an answer that is none of the hub.
    """
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repo, re.ASCII):
        raise RunError(f"--repo {repo}: expected OWNER/NAME, as on the hub")
    about = _ask(f"{_endpoint()}/api/datasets/{repo}?blobs=true", repo)
    try:
        version = str(about["sha"])
        entries = {str(entry["rfilename"]): entry for entry in about["siblings"]}
        # The one in the fewest folders, if there are several of a name.
        ordered = sorted(entries, key=lambda name: (-name.count("/"), name))
        places = {PurePosixPath(name).name: name for name in ordered}
        return {
            task: _file(repo, version, entries[places[task.versioned_name + SUFFIX]])
            for task in tasks
            if task.versioned_name + SUFFIX in places
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{_endpoint()} does not answer as the hub does ({error!r})") from error


def _file(repo: str, version: str, entry: dict[str, Any]) -> HubFile:
    path = urllib.parse.quote(f"datasets/{repo}/resolve/{version}/{entry['rfilename']}")
    large = entry.get("lfs") or {}
    size = int(entry.get("size") or large.get("size") or 0)
    return HubFile(f"{_endpoint()}/{path}", size, str(large.get("sha256") or ""))


def download(task: Task, file: HubFile, root: Path | None, progress: Progress) -> Path:
    """Downloads a task's file; goes on with what an earlier call brought.

    Args:
        task: The task.
        file: One of :func:`published_files`.
        root: The folder of demonstrations; the file comes to lie in ``published`` in it.
        progress: Told how far it is.

    Raises:
        RunError: No network, no space, another process downloads too, or the file is not what the
            hub says; it is removed then.
    """
    folder = root_folder(root) / "published"
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / f"{task.versioned_name}{SUFFIX}", _part(folder, task)
    lock = FolderLock(folder)
    try:
        fetch(file.url, part, progress, "choose another --root")
        with part.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if file.sha256 and found != file.sha256:
            forget(task, root)
            raise RunError(
                f"{file.url} is damaged: its SHA-256 is {found}, the hub states {file.sha256}. "
                "Running the command again downloads it anew"
            )
        os.replace(part, target)
    finally:
        lock.close()
    return target


def forget(task: Task, root: Path | None) -> None:
    """Removes what was downloaded of a task."""
    folder = root_folder(root) / "published"
    part = _part(folder, task)
    for path in (part, part.with_name(part.name + ".json"), folder / f"{task.versioned_name}.pt"):
        remove(path)


def _part(folder: Path, task: Task) -> Path:
    return folder / f"{task.versioned_name}{SUFFIX}.part"


def _endpoint() -> str:
    """The hub's address; its own packages read the same variable, for mirrors."""
    return os.getenv("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _ask(url: str, repo: str) -> dict[str, Any]:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "mmbench"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            answer = json.loads(response.read(_MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (401, 403, 404):
                raise RunError(
                    f"{_endpoint()} has no public dataset {repo!r}: --repo names another"
                ) from error
            raise RunError(f"{url} answers {error.code} {error.reason}") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RunError(f"cannot reach {url}: {reason}. Check the network") from error
    except ValueError as error:
        raise RunError(f"{url} does not answer in JSON ({error})") from error
    return answer if isinstance(answer, dict) else {}
