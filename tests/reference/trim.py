"""Makes this folder from the full recording: `python tests/reference/trim.py FULL_FOLDER`."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

KEEP = 5  # transitions a task: enough to notice a wrong term, few enough to ship
HERE = Path(__file__).parent


def trim(source: Path, target: Path) -> None:
    """Copies the transitions of one task, some of them, without the arrays that never vary."""
    with np.load(source) as data:
        arrays = {key: data[key] for key in data.files}
    count = int(arrays["n"])
    chosen = np.unique(np.linspace(0, count - 1, KEEP).round().astype(int))
    names = {key.split("/", 1)[1] for key in arrays if "/" in key}
    constant = {
        name
        for name in names
        if name.startswith("model/")
        and all(np.array_equal(arrays[f"0/{name}"], arrays[f"{i}/{name}"]) for i in range(count))
    }
    kept = {key: value for key, value in arrays.items() if "/" not in key}
    kept["n"] = np.asarray(len(chosen))
    for new, old in enumerate(chosen):
        for name in names - constant:
            if f"{old}/{name}" in arrays:
                kept[f"{new}/{name}"] = arrays[f"{old}/{name}"]
    np.savez_compressed(target, **kept)


def main(full: Path) -> None:
    """Rebuilds every file here from the full recording."""
    for folder in sorted(path for path in full.iterdir() if path.is_dir()):
        target = HERE / folder.name
        target.mkdir(exist_ok=True)
        for source in sorted(folder.iterdir()):
            if source.suffix == ".json":
                text = json.dumps(json.loads(source.read_text()), separators=(",", ":"))
                (target / source.name).write_text(text + "\n")
            elif source.name.endswith(".rollout.npz"):
                continue
            elif folder.name == "agent" and source.suffix == ".npz":
                shutil.copy(source, target / source.name)
            elif source.suffix == ".npz":
                trim(source, target / source.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
