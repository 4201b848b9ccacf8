"""Which task needs which of ManiSkill's assets, and whether it is there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mmbench.catalog import Task


@dataclass(frozen=True, slots=True)
class Asset:
    """One archive that ManiSkill offers for download.

    Attributes:
        name: ManiSkill's own name of it.
        url: A zip file.
        sha256: Of the zip file, where ManiSkill states one.
        target: The folder the content goes to, below :func:`data_folder`.
        files: Files of that folder that must exist for the asset to count as installed.
    """

    name: str
    url: str
    sha256: str | None
    target: str
    files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder of the installed asset."""
        return data_folder() / self.target


# Name, address, checksum and folder are ManiSkill's (`mani_skill.utils.assets.DATA_SOURCES`; a
# test compares them), written down here because asking ManiSkill would load torch and sapien.
# It states no checksum for the robots: they are archives that GitHub packs on request.
ASSETS = (
    Asset(
        name="ycb",
        url=(
            "https://huggingface.co/datasets/haosulab/ManiSkill2/resolve/main/data/"
            "mani_skill2_ycb.zip"
        ),
        sha256="1551724fd1ac7bad9807ebcf46dd4a788caed5c9499c1225b9bfa080ffbefcb3",
        target="assets/mani_skill2_ycb",
        files=("info_pick_v0.json",),
    ),
    Asset(
        name="xarm6",
        url="https://github.com/haosulab/ManiSkill-XArm6/archive/refs/tags/v0.1.1.zip",
        sha256=None,
        target="robots/xarm6",
        files=("xarm6_robotiq.urdf",),
    ),
    Asset(
        name="anymal_c",
        url="https://github.com/haosulab/ManiSkill-ANYmalC/archive/refs/tags/v0.1.1.zip",
        sha256=None,
        target="robots/anymal_c",
        files=("urdf/anymal.urdf",),
    ),
)

_BY_NAME = {asset.name: asset for asset in ASSETS}
_ROBOTS = {"xarm6_robotiq": "xarm6", "anymal_c": "anymal_c"}


def data_folder() -> Path:
    """ManiSkill's folder for what it downloads.

    ``$MS_ASSET_DIR/data``, by default ``~/.maniskill/data``. ManiSkill reads the variable when
    it is imported: a later change has no effect on it.
    """
    default = os.path.join(os.path.expanduser("~"), ".maniskill")
    return Path(os.getenv("MS_ASSET_DIR", default)) / "data"


def required_asset(task: Task) -> Asset | None:
    """The asset a task needs, or None if it needs no download."""
    if task.domain != "maniskill":
        return None
    settings = dict(task.native_kwargs)
    if "model_id" in settings:
        return _BY_NAME["ycb"]
    robot = _ROBOTS.get(str(settings.get("robot_uids")))
    return _BY_NAME[robot] if robot else None


def required_files(task: Task) -> tuple[Path, ...]:
    """The files whose presence tells that a task's asset is there."""
    asset = required_asset(task)
    if asset is None:
        return ()
    files = [asset.folder / name for name in asset.files]
    if asset.name == "ycb":
        model = asset.folder / "models" / str(dict(task.native_kwargs)["model_id"])
        files += [model / "collision.ply", model / "textured.obj"]
    return tuple(files)


def missing_assets(task: Task) -> list[str]:
    """The names of the assets that a task needs and that are not on this machine.

    Files are looked for, not folders: ManiSkill's own download makes the folder first and fills
    it later.

    Args:
        task: Any task, of whatever domain.

    Returns:
        Names as in :data:`ASSETS`; empty where nothing is missing.
    """
    asset = required_asset(task)
    if asset is None or all(path.is_file() for path in required_files(task)):
        return []
    return [asset.name]
