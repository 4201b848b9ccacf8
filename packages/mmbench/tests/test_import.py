"""``import mmbench`` is light: no simulator, no framework, little else."""

import json
import subprocess
import sys

# Simulators, frameworks and what only some of the work needs.
HEAVY = (
    "ale_py",
    "Box2D",
    "dm_control",
    "gym",
    "h5py",
    "mani_skill",
    "matplotlib",
    "metaworld",
    "minari",
    "mujoco",
    "ogbench",
    "open_clip",
    "pygame",
    "rich",
    "robodesk",
    "sapien",
    "sentence_transformers",
    "tensorboard",
    "torch",
    "transformers",
    "tyro",
)

# Of the standard library, each some tens of milliseconds.
SLOW = ("asyncio", "email", "http", "importlib.metadata", "logging.config", "ssl", "urllib.request")


def run(script):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


def test_importing_and_listing_load_nothing_heavy():
    loaded = run(
        "import json, sys\n"
        "import mmbench\n"
        "import mmbench.language\n"
        "mmbench.tasks()\n"
        "mmbench.catalog.select('all')\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert "mmbench" in loaded
    assert not set(HEAVY) & set(loaded)


def test_demonstrations_load_minari_where_they_are_loaded():
    loaded = run(
        "import json, sys\n"
        "import mmbench.demos\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert not set(HEAVY) & set(loaded)


def test_the_command_loads_no_simulator():
    loaded = run(
        "import json, sys\n"
        "import mmbench.cli\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert not (set(HEAVY) - {"rich", "tyro"}) & set(loaded)


def test_importing_adds_little_to_gymnasium():
    added = run(
        "import json, sys\n"
        "import gymnasium\n"
        "before = set(sys.modules)\n"
        "import mmbench\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert "mmbench.catalog" in added
    assert not set(SLOW) & set(added)
