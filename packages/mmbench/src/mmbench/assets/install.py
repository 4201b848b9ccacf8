"""Installs an asset into ManiSkill's folder, completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath

from mmbench.assets.fetch import check_space, fetch
from mmbench.assets.known import Asset
from mmbench.runs import RunError

StageProgress = Callable[[str, int, int | None], None]
"""Called with the stage (``download`` or ``unpack``), the bytes done and, if known, their total."""

_CHUNK = 1 << 20

_ELSEWHERE = "set MS_ASSET_DIR to a folder elsewhere"

_MOST_DEFLATED = 1032  # bytes that a byte of a zip file can stand for

_OF_THE_DISK = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EPERM,
        errno.EROFS,
    }
)
"""System errors that the machine causes. Any other while unpacking means a damaged archive."""


def install(asset: Asset, progress: StageProgress = lambda stage, done, total: None) -> Path:
    """Downloads an asset, checks it and puts it where ManiSkill looks for it.

    Files are unpacked and checked in a hidden folder beside the final one, which is then renamed.
    It replaces a folder that is there already. The next call resumes an interrupted download.

    Args:
        asset: One of :data:`mmbench.assets.ASSETS`.
        progress: Told how far it is.

    Returns:
        The asset's folder.

    Raises:
        RunError: No network, no space, no permission, a wrong checksum, or an archive that is
            damaged or not what it should be. Nothing is installed then.
    """
    target = asset.folder
    work = target.with_name(f".{target.name}.download")
    try:
        work.mkdir(parents=True, exist_ok=True)
        with _only_one(work, asset):
            archive = work / "archive.zip"
            try:
                fetch(
                    asset.url,
                    archive,
                    lambda done, total: progress("download", done, total),
                    _ELSEWHERE,
                )
            except RunError:
                if not archive.exists():
                    shutil.rmtree(work)  # nothing in it to go on with
                raise
            try:
                _check_sum(asset, archive)
                content = _unpack(asset, archive, work / "unpacked", progress)
            except _BadArchiveError as error:
                # Useless, so that the next call downloads it from the beginning.
                shutil.rmtree(work)
                raise RunError(f"{asset.url}: {error}. Nothing was installed") from error
            _replace(target, content, work / "replaced")
            shutil.rmtree(work)
    except OSError as error:
        place = error.filename or target.parent
        raise RunError(
            f"cannot write to {place}: {error.strerror or error}. Free some space or "
            f"{_ELSEWHERE}; what has arrived is kept, and the same command goes on with it"
        ) from error
    return target


class _BadArchiveError(Exception):
    """The file is not the archive it should be."""


def _check_sum(asset: Asset, archive: Path) -> None:
    if asset.sha256 is None:
        return
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != asset.sha256:
        raise _BadArchiveError(
            f"the file's SHA-256 is {found}, ManiSkill states {asset.sha256}: damaged on the way, "
            "or replaced. Running the command again downloads it anew"
        )


def _unpack(asset: Asset, archive: Path, folder: Path, progress: StageProgress) -> Path:
    """Unpacks an archive into a folder and returns the part of it that is the asset."""
    shutil.rmtree(folder, ignore_errors=True)  # of a program that was killed
    try:
        _extract_all(archive, folder, progress)
    except (RunError, _BadArchiveError):
        raise
    except Exception as error:
        # zipfile raises errors of every kind for damaged archives: BadZipFile, zlib.error,
        # struct.error, NotImplementedError, UnicodeDecodeError, OSErrors of wrong offsets, ...
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        raise _BadArchiveError(f"the archive is damaged ({error})") from error
    # As ManiSkill: a single folder at the top is the asset, whatever its name (GitHub's has the
    # version in it); else the asset is the folder of its own name.
    tops = sorted(folder.iterdir()) if folder.is_dir() else []
    content = tops[0] if len(tops) == 1 else folder / asset.folder.name
    missing = [name for name in asset.files if not (content / name).is_file()]
    if missing:
        raise _BadArchiveError(f"the archive holds no {', '.join(missing)}")
    return content


def _extract_all(archive: Path, folder: Path, progress: StageProgress) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = [info for info in opened.infolist() if not info.is_dir()]
        for info in members:
            _check_path(info.filename)
        total = sum(info.file_size for info in members)
        if total > _MOST_DEFLATED * archive.stat().st_size:
            raise _BadArchiveError(f"the archive is damaged (it cannot hold {total} bytes)")
        check_space(archive.parent, total, _ELSEWHERE)
        done = 0
        for info in members:
            _extract(opened, info, folder / info.filename)
            done += info.file_size
            progress("unpack", done, total)


def _check_path(name: str) -> None:
    """Refuses names that point out of the folder they are unpacked into."""
    path = PureWindowsPath(name)  # whose rules contain those of other systems
    if path.drive or path.root or ".." in path.parts:
        raise _BadArchiveError(f"the archive names a file outside its folder: {name!r}")


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    # Reading to the end checks the CRC. Links become plain files, which cannot lead anywhere.
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _replace(target: Path, content: Path, aside: Path) -> None:
    """Renames a complete folder to its final name, and removes what had the name."""
    if os.path.lexists(aside):
        _remove(aside)
    if os.path.lexists(target):
        os.rename(target, aside)
    try:
        os.rename(content, target)
    except OSError:
        if os.path.lexists(aside):
            os.rename(aside, target)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _only_one(work: Path, asset: Asset) -> Iterator[None]:
    """Keeps two programs from downloading into one file."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"another program is downloading {asset.name!r} into {work.parent}: wait for it"
            ) from error
        yield
    finally:
        os.close(descriptor)
