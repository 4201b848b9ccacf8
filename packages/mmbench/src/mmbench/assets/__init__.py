"""Files that some tasks need and no package brings: ManiSkill's YCB objects and two robots.

Asking what is there loads no simulator::

    >>> from mmbench import assets, catalog
    >>> assets.missing_assets(catalog.get("walker-walk"))
    []
"""

from mmbench.assets.install import install
from mmbench.assets.known import (
    ASSETS,
    Asset,
    data_folder,
    missing_assets,
    required_asset,
    required_files,
)

__all__ = [
    "ASSETS",
    "Asset",
    "data_folder",
    "install",
    "missing_assets",
    "required_asset",
    "required_files",
]
