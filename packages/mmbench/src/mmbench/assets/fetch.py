"""Downloads a file over HTTP, and resumes where an earlier attempt stopped."""

from __future__ import annotations

import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from mmbench.runs import RunError, read_json, write_json

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are done and, where it is known, their total."""

RETRY_DELAYS = (1.0, 4.0, 10.0)
"""Seconds to wait after the first, second, ... attempt that brought nothing new."""

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 20
_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # statuses that may pass


class _Interrupted(Exception):
    """The connection failed, or ended before the file did."""


def fetch(url: str, target: Path, progress: Progress, elsewhere: str) -> None:
    """Downloads a file.

    When the connection or the program is interrupted, what has arrived stays in ``target`` and
    the next call asks for the rest (an HTTP range). If the server's ETag has changed, or there is
    none, the download starts again: no file is ever put together from two versions.

    Args:
        url: An ``http`` or ``https`` address.
        target: The file; beside it, ``<target>.json`` remembers where its beginning came from.
        progress: Told after every chunk.
        elsewhere: What to do where the disk is full, for the message.

    Raises:
        RunError: No network, no such file, no space, or a connection that keeps breaking.
        OSError: The file cannot be written.
    """
    failures, most = 0, _size(target)
    while True:
        try:
            _attempt(url, target, progress, elsewhere)
            return
        except _Interrupted as error:
            # Only more than ever before counts as progress: a download that starts again each time
            # and breaks must end.
            failures = 0 if _size(target) > most else failures + 1
            most = max(most, _size(target))
            if failures > len(RETRY_DELAYS) or (failures and _offline(error)):
                raise RunError(
                    f"cannot download {url}: {error}. Check the network; what has arrived is "
                    "kept, and the same command goes on with it"
                ) from error
            if failures:
                time.sleep(RETRY_DELAYS[failures - 1])


def _attempt(url: str, target: Path, progress: Progress, elsewhere: str) -> None:
    note = target.with_name(target.name + ".json")
    start, validator = _size(target), _validator(note, url)
    request = urllib.request.Request(url, headers={"User-Agent": "mmbench"})
    if start and validator:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", validator)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # nothing after `start`
                if error.headers.get("Content-Range") == f"bytes */{start}":
                    return  # an earlier call was stopped after the last byte
                target.unlink()
                raise _Interrupted("the file on the server has changed") from error
            if error.code in _AGAIN:
                raise _Interrupted(f"the server answers {error.code} {error.reason}") from error
            raise RunError(
                f"cannot download {url}: the server answers {error.code} {error.reason}"
            ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_reason(error)) from error
    with response:
        if response.status != 206:
            start = 0
        elif not _continues(response, start, validator):
            target.unlink()
            raise _Interrupted("the server sent another range than the one requested")
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        if total is not None:
            check_space(target.parent, total - start, elsewhere)
        write_json(note, {"url": url, "etag": response.headers.get("ETag")})
        _receive(response, target, start, total, progress)


def _receive(
    response: http.client.HTTPResponse,
    target: Path,
    start: int,
    total: int | None,
    progress: Progress,
) -> None:
    done = start
    with target.open("ab" if start else "wb") as file:
        progress(done, total)
        while True:
            try:
                chunk = response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Interrupted(_reason(error)) from error
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _Interrupted(f"the connection ended after {done} of {total} bytes")


def _continues(response: http.client.HTTPResponse, start: int, validator: str | None) -> bool:
    """Whether a partial answer begins where the file ends, in the same version of the file."""
    place = response.headers.get("Content-Range", "")
    tag = response.headers.get("ETag", validator)
    return place.startswith(f"bytes {start}-") and tag == validator


def check_space(folder: Path, needed: int, elsewhere: str) -> None:
    """Raises :class:`RunError` if a file system has less room than is needed, in bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(
            f"no space in {folder}: {needed / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are "
            f"free. Free some, or {elsewhere}"
        )


def _validator(note: Path, url: str) -> str | None:
    """The strong ETag that the partial file was downloaded with from this address, or None."""
    try:
        kept = read_json(note)
    except RunError:
        return None
    tag = kept.get("etag") if kept.get("url") == url else None
    return tag if isinstance(tag, str) and not tag.startswith("W/") else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _offline(error: _Interrupted) -> bool:
    """Whether there is no network (no route, no such host), so that retrying is pointless."""
    cause = error.__cause__
    reason = getattr(cause, "reason", cause)
    return (
        isinstance(reason, OSError)
        and not isinstance(
            reason, (TimeoutError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
        )
        and not isinstance(cause, urllib.error.HTTPError)
    )


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(reason) or type(error).__name__
