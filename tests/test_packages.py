"""Every package builds, and its wheel works alone in an empty environment."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"miniarcade": "miniarcade", "mmbench": "mmbench", "newt-agent": "newt-agent"}
PACKAGES["mmbench-baselines"] = "baselines"
HANG = 900

pytestmark = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")

# What a user of each wheel does first, and what the environment must not hold.
FIRST_USE = {
    "miniarcade": """
import gymnasium as gym, miniarcade
env = gym.make("miniarcade/pong-v0", render_mode="rgb_array")
env.reset(seed=0); env.step(env.action_space.sample())
assert env.render().shape == (224, 224, 3)
absent("mujoco", "dm_control", "torch", "mmbench")
""",
    "mmbench": """
import gymnasium as gym, mmbench, sys
# dm_control cannot be installed on Python 3.13 as other packages are.
of_dm_control = () if sys.version_info >= (3, 13) else ("dmcontrol", "dmcontrol-ext")
for name in ("walker-walk", "giraffe-run", "mujoco-reacher", "pygame-pong"):
    if not of_dm_control and name in ("walker-walk", "giraffe-run"):
        continue
    env = gym.make(f"mmbench/{name}-v0")
    obs, info = env.reset(seed=0)
    env.step(env.action_space.sample())
    assert obs.shape == (128,)
from mmbench.language import embed
assert embed([task.instruction for task in mmbench.tasks()]).shape == (220, 384)
try:
    gym.make("mmbench/mw-reach-v0")
except mmbench.catalog.TaskUnavailableError as error:
    assert "pip install 'mmbench[metaworld]'" in str(error), error
else:
    raise AssertionError("metaworld should be missing")
import json, pathlib, subprocess
doctor = [pathlib.Path(sys.executable).with_name("mmbench"), "doctor", "--json"]
done = subprocess.run(doctor, capture_output=True, text=True)
assert done.returncode == 1 and done.stderr == "", done
report = json.loads(done.stdout)
rows = {row["domain"]: row for row in report["domains"]}
for name in (*of_dm_control, "mujoco", "miniarcade"):
    assert rows[name]["status"] == "works" and not rows[name]["problems"], rows[name]
for name in ("metaworld", "maniskill", "box2d", "robodesk", "ogbench", "atari"):
    assert (rows[name]["status"], rows[name]["runnable"]) == ("missing", 0), rows[name]
    (problem,) = rows[name]["problems"]
    assert f"mmbench[{name}]" in problem["fix"], problem
    assert len(problem["tasks"]) == rows[name]["tasks"] >= 6
assert report["renderers"][2]["status"] == "missing" and report["machine"]["torch"] is None
for words in (("list", "--json"), ("verify", "--json")):  # of tapes, without an extra
    subprocess.run([doctor[0], "demos", *words], check=True, stdout=subprocess.DEVNULL)
absent("torch", "metaworld", "newt_agent", "minari")
""",
    "mmbench[demos]": """
import os, pathlib, subprocess, sys
os.environ["MMBENCH_CACHE"] = os.path.abspath("cache")
demos = (pathlib.Path(sys.executable).with_name("mmbench"), "demos")
chosen = ("--tasks", "pygame-cartpole-balance", "--episodes", "1", "--workers", "1")
subprocess.run([*demos, "collect", *chosen, "--root", "own"], check=True)
from mmbench import demos as demonstrations
assert len(demonstrations.load("pygame-cartpole-balance", "own")) == 1
assert len(demonstrations.load("pygame-coinrun")) == 40  # which the wheel brings
subprocess.run([*demos, "verify", "--root", "own"], check=True)
absent("torch")
""",
    "newt-agent": """
import subprocess, sys, pathlib
bin = pathlib.Path(sys.executable).parent
run = ("--tasks pygame-cartpole-balance --steps 520 --seed-steps 500 --eval-episodes 1 --size XS "
       "--no-plan --no-plan-in-eval --batch-size 4 --utd 0.1 --replay-capacity 2000 --out run")
subprocess.run([bin / "newt-train", *run.split()], check=True)
flags = "--checkpoint run --episodes 1 --no-plan"
subprocess.run([bin / "newt-eval", *flags.split()], check=True)
absent("mmbench_baselines")
""",
    "mmbench-baselines": "import mmbench_baselines; mmbench_baselines.__version__",
}
PRELUDE = """
import importlib.util
def absent(*names):
    for name in names:
        assert importlib.util.find_spec(name) is None, name
"""


def uv(*arguments, **options) -> None:
    result = subprocess.run(
        ["uv", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=HANG,
        cwd=ROOT,
        **options,
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the sdist and the wheel of every package."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--all-packages", "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Path:
    """The locked versions, as constraints: what is installed is what was tested."""
    path = tmp_path_factory.mktemp("locked") / "constraints.txt"
    uv("export", "--locked", "--all-packages", "--no-hashes", "--no-emit-workspace", "-o", path)
    return path


def test_sdists_and_wheels_hold_what_they_need(built):
    for name, folder in PACKAGES.items():
        stem = name.replace("-", "_")
        (wheel,) = built.glob(f"{stem}-*.whl")
        (sdist,) = built.glob(f"{stem}-*.tar.gz")
        assert sdist.stat().st_size > 1000
        files = set(zipfile.ZipFile(wheel).namelist())
        source = ROOT / "packages" / folder / "src"
        expected = {
            str(path.relative_to(source))
            for path in source.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert expected <= files
        assert any(file.endswith("licenses/LICENSE") for file in files)


def test_every_dependency_is_bounded_on_both_sides():
    for folder in PACKAGES.values():
        project = tomllib.loads((ROOT / "packages" / folder / "pyproject.toml").read_text())
        project = project["project"]
        groups = project.get("optional-dependencies", {}).values()
        for requirement in [*project["dependencies"], *(r for group in groups for r in group)]:
            if requirement.startswith(("mmbench[", "newt-agent[")):
                continue  # its own extras
            bounded = ">=" in requirement and "<" in requirement
            assert bounded or "==" in requirement, requirement


def test_a_package_index_shows_where_each_comes_from_and_no_dead_link():
    for folder in PACKAGES.values():
        readme = (ROOT / "packages" / folder / "README.md").read_text()
        relative = re.findall(r"\]\((?!https://|#)[^)]*\)", readme)
        assert not relative, f"packages/{folder}/README.md: an index cannot follow {relative}"
        project = tomllib.loads((ROOT / "packages" / folder / "pyproject.toml").read_text())
        project = project["project"]
        assert project["authors"] == [{"name": "The MMBench-and-Newt contributors"}]
        assert project["urls"]["Paper"].startswith("https://arxiv.org/")
        assert {"Typing :: Typed", "Intended Audience :: Science/Research"} <= set(
            project["classifiers"]
        )


@pytest.mark.parametrize("name", FIRST_USE)
def test_wheel_works_alone(name, built, locked, tmp_path):
    environment = tmp_path / "environment"
    uv("venv", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    uv(
        "pip",
        "install",
        "--python",
        python,
        "--find-links",
        built,
        "--constraints",
        locked,
        name,
    )
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    result = subprocess.run(
        [str(python), "-c", PRELUDE + FIRST_USE[name]],
        capture_output=True,
        text=True,
        timeout=HANG,
        cwd=tmp_path,
        env=variables,
    )
    assert result.returncode == 0, result.stderr
