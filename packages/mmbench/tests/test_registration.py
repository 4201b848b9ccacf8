"""Tasks and domains from outside: in this process, in a package, in a module of the user."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import doctor_stubs
import gymnasium as gym
import numpy as np
import pytest
from outside import HAS_UV, SPRINGS, install, registering

import mmbench
from mmbench import catalog
from mmbench.catalog import InvalidTaskError, UnknownTaskError, get, select
from mmbench.env import TaskEnv

HANG = 120
COMMAND = Path(sys.executable).with_name("mmbench")

DOMAIN = mmbench.Domain(
    name="springs", title="Springs", adapter="nowhere", module="json", packages=("springs",)
)
TASK = dataclasses.replace(get("walker-walk"), name="spring-hold", domain="springs")


@pytest.fixture(autouse=True)
def take_back():
    with registering():
        yield


# In this process


def test_a_task_from_outside_has_every_name_and_is_in_no_group_of_the_benchmark():
    before = {group: select(group) for group in ("all", "test", "extra", "atari", "*", "w*")}
    held_out = dataclasses.replace(TASK, name="spring-push", split="test")
    kangaroo = dataclasses.replace(get("atari-pong"), name="walker-kangaroo", native="Kangaroo")
    mmbench.register(TASK, held_out, DOMAIN, kangaroo)
    for name in ("spring-hold", "spring-hold-v0", "mmbench/spring-hold-v0"):
        assert select(name) == (TASK,)
    assert select("springs") == (TASK,)
    assert select("spring-*") == (TASK,)
    assert select("spring-push,springs") == (held_out, TASK)
    assert select("walker-kangaroo") == (kangaroo,)
    assert gym.spec("mmbench/spring-hold-v0").entry_point == "mmbench.env:TaskEnv"
    assert {group: select(group) for group in before} == before
    assert len(mmbench.tasks()) == 220 and len(mmbench.tasks(domain="atari")) == 27
    assert mmbench.tasks(domain="springs") == (TASK, held_out)
    assert catalog.outside() == (TASK, held_out, kangaroo)
    assert catalog.domains()[-1] == DOMAIN and catalog.domain("springs") == DOMAIN


def test_registering_the_same_again_changes_nothing():
    mmbench.register(DOMAIN, TASK)
    mmbench.register(DOMAIN, TASK)
    assert catalog.outside() == (TASK,)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (dataclasses.replace(TASK, name="walker-walk"), "'walker-walk'.*this name"),
        (dataclasses.replace(TASK, name="atari"), "'atari'.*this name"),
        (dataclasses.replace(TASK, name="quickstart"), "'quickstart'.*this name"),
        (dataclasses.replace(TASK, name="test"), "'test'.*this name"),
        (dataclasses.replace(TASK, name="spring hold"), "'spring hold'.*letters"),
        (dataclasses.replace(TASK, name="spring-v2"), "'spring-v2'.*version"),
        (dataclasses.replace(TASK, domain="nowhere"), "'nowhere' is not registered"),
        (dataclasses.replace(TASK, split="valid"), "split 'valid'"),
        (dataclasses.replace(TASK, obs_dim=129), "obs_dim 129: 0 to 128"),
        (dataclasses.replace(TASK, action_dim=17), "action_dim 17: 1 to 16"),
        (dataclasses.replace(TASK, max_episode_steps=0), "at least 1"),
        (dataclasses.replace(TASK, discount=1.5), "discount 1.5"),
        (dataclasses.replace(TASK, score_metric="sum"), "score_metric 'sum'"),
        (dataclasses.replace(TASK, score_low=5.0, score_high=5.0), "score_low 5 has to be below"),
        (dataclasses.replace(TASK, score_high=float("inf")), "below score_high inf"),
        (dataclasses.replace(TASK, instruction=" "), "no instruction"),
        (dataclasses.replace(TASK, instruction=None), "instruction None: has to be str"),
        (dataclasses.replace(TASK, native=""), "native is empty"),
        (dataclasses.replace(TASK, obs_dim="3"), "obs_dim '3': has to be int"),
        (dataclasses.replace(TASK, max_episode_steps=1.5), "max_episode_steps 1.5: has to be int"),
        (dataclasses.replace(TASK, version=1), "version 1: `differs` has to say"),
        (dataclasses.replace(DOMAIN, name="walker-walk"), "'walker-walk'.*this name"),
        (dataclasses.replace(DOMAIN, name="mujoco"), "'mujoco'.*this name"),
        (dataclasses.replace(DOMAIN, name="all"), "'all'.*this name"),
        (dataclasses.replace(DOMAIN, name="a,b"), "'a,b'.*letters"),
        (dataclasses.replace(DOMAIN, name="other", packages=()), "packages is empty"),
        (dataclasses.replace(DOMAIN, name="other", packages=("a >> 3",)), "'a >> 3'.*'name>=2,<3'"),
        ("spring-hold", "'spring-hold' is neither"),
    ],
)
def test_what_is_not_possible_is_refused_whole(record, message):
    other = dataclasses.replace(TASK, name="spring-other")
    with pytest.raises(InvalidTaskError, match=message):
        mmbench.register(DOMAIN, other, record)
    assert catalog.outside() == () and DOMAIN not in catalog.domains()


def test_a_name_is_taken_once():
    mmbench.register(DOMAIN, TASK)
    with pytest.raises(InvalidTaskError, match=r"'spring-hold'.*this name"):
        mmbench.register(dataclasses.replace(TASK, discount=0.5))
    assert get("spring-hold") == TASK


def test_an_unknown_name_finds_near_ones_from_outside():
    mmbench.register(DOMAIN, TASK)
    with pytest.raises(UnknownTaskError, match=r"did you mean .*spring-hold.*domains .*springs"):
        select("spring-hould")


# In a package


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not HAS_UV:
        pytest.skip("uv is not installed")
    target = tmp_path_factory.mktemp("site")
    install(SPRINGS, target)
    return target


def run(code, path, cwd=None, **variables):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=HANG,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path), **variables},
    )


STEPS = """
import gymnasium as gym, json, numpy as np
import mmbench

env = gym.make("mmbench/spring-hold-v0", obs="state+rgb", info="full")
obs, info = env.reset(seed=3)
assert env.observation_space.contains(obs) and info["instruction"].startswith("A mass")
assert info["action_mask"].sum() == 1 and info["observation_mask"].sum() == 2
many = gym.make_vec("mmbench/multitask-v0", tasks="springs,spring-push", num_workers=2).unwrapped
assert many.num_workers == 2 and many.action_mask.sum() == 3
first, _ = many.reset(seed=[3, 4, 5])
assert (first[0] == obs["state"]).all()
truncated = [False]
while not truncated[0]:
    _, reward, _, truncated, infos = many.step(np.zeros((3, 16), np.float32))
print(json.dumps(infos["final_info"]["score"].tolist()))
many.close()
"""


def test_a_package_brings_tasks_into_every_process(installed, tmp_path):
    done = run(STEPS, installed)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout.splitlines()[-1])
    assert all(0.1 < score < 1 for score in scores)


def test_a_package_is_in_the_commands(installed, tmp_path):
    path = f"{doctor_stubs.write(tmp_path)}{os.pathsep}{installed}"
    variables = {**os.environ, "PYTHONPATH": path}

    def command(*arguments):
        done = subprocess.run(
            [COMMAND, *arguments], capture_output=True, text=True, timeout=HANG, env=variables
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    listed = [task["name"] for task in command("tasks", "--json")]
    assert len(listed) == 223 and "spring-hold" in listed
    held_out = command("tasks", "--json", "--split", "test", "--domain", "springs")
    assert [task["name"] for task in held_out] == ["spring-push"]
    report = command("doctor", "--json", "--tasks", "springs")
    (row,) = report["domains"]
    assert (row["domain"], row["status"], row["tried"]) == ("springs", "works", "spring-hold")
    assert row["packages"][0]["tested"] == ">=0.1,<0.2" and row["packages"][0]["in_range"]


BROKEN = {
    "an error": ("import mmbench\nraise OSError('no luck')", "OSError: no luck"),
    "a name that is taken": (
        "import dataclasses, mmbench\n"
        "walk = mmbench.catalog.get('walker-walk')\n"
        "mmbench.register(dataclasses.replace(walk, discount=0.5))",
        "'walker-walk'",
    ),
    "an exit": ("import sys\nsys.exit('goodbye')", "SystemExit: goodbye"),
    "no module": (None, "No module named 'broken_tasks'"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_package_is_one_warning_that_names_it(how, tmp_path):
    source, why = BROKEN[how]
    if source is not None:
        (tmp_path / "broken_tasks.py").write_text(source)
    info = tmp_path / "broken_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mmbench.domains]\nbroken = broken_tasks\n")
    code = (
        "import gymnasium as gym, mmbench\n"
        "env = gym.make_vec('mmbench/multitask-v0', tasks='pygame-pong', num_workers=1)\n"
        "env.reset(seed=0); env.close()\n"
        "mmbench.catalog.select('broken-task')"
    )
    done = run(code, tmp_path)
    assert done.stderr.count("Warning") == 1
    warning, error = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]
    for line in (warning, error):  # and whoever misses its tasks is reminded
        assert "broken-package" in line and why in line
    if source is not None:  # both name the line that failed, which is the package's own
        number = len(source.splitlines())
        assert warning.startswith(f"{tmp_path}/broken_tasks.py:{number}: UserWarning")
        assert f"{tmp_path}/broken_tasks.py, line {number}" in error


def test_a_module_that_is_no_simulator_is_named(tmp_path):
    (tmp_path / "half.py").write_text(
        "import dataclasses, mmbench\n"
        "walk = mmbench.catalog.get('walker-walk')\n"
        "mmbench.register(\n"
        "    mmbench.Domain(name='half', title='Half', adapter='no_adapter', module='json',\n"
        "                   packages=('half-package>=2',)),\n"
        "    dataclasses.replace(walk, name='half-walk', domain='half'))\n"
    )
    done = run("import half, gymnasium; gymnasium.make('mmbench/half-walk-v0')", tmp_path)
    line = done.stderr.splitlines()[-1]
    assert "TaskUnavailableError" in line and "'half-walk'" in line
    assert "no_adapter" in line and "pip install 'half-package>=2'" in line


# In a module of the user

ROWS = """
import mmbench

mmbench.register(
    mmbench.gym_task("Pendulum-v1", name="pendulum", instruction="Swing up.", score=(-1600, 0)),
)
"""


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "my_rows.py").write_text(ROWS)
    return tmp_path


IN_WORKERS = """
import gymnasium as gym
first = gym.make_vec("mmbench:mmbench/multitask-v0", tasks=["pygame-pong"], num_workers=1)
env = gym.make_vec(
    "mmbench/multitask-v0", tasks=["thermostat"], imports=["my_rows"], workers=first.unwrapped
)
env.reset(seed=0)
print(env.unwrapped.get_attr("task")[0].instruction)
env.close()
first.close()
"""
OWN_DOMAIN = """
import mmbench

mmbench.register(
    mmbench.Domain(
        name="own", title="Own", adapter="my_rows", module="my_rows", packages=("own",)
    ),
    mmbench.Task(
        "thermostat", "own", "train", "Keep it warm.", "own", 3, 1, 9, 1, 0.9, "none", 0, 0
    ),
)


def make(task, frames):
    from mmbench.domains.miniarcade import GameSimulator
    import miniarcade

    return GameSimulator(miniarcade.get_task("cowboy").make_game())
"""


def test_imports_reach_workers_that_are_there_already(tmp_path):
    (tmp_path / "my_rows.py").write_text(OWN_DOMAIN)
    done = run(IN_WORKERS, "", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "Keep it warm."), done.stderr


def test_the_import_flag_of_mmbench(rows, tmp_path_factory):
    stubs = doctor_stubs.write(tmp_path_factory.mktemp("stubs"))
    for arguments in (
        ["tasks", "--import", "my_rows", "--json", "--domain", "gym"],
        ["doctor", "--import", "my_rows", "--json", "--tasks", "pendulum"],
    ):
        done = subprocess.run(
            [COMMAND, *arguments],
            capture_output=True,
            text=True,
            timeout=HANG,
            cwd=rows,
            env={**os.environ, "PYTHONPATH": str(stubs)},
        )
        assert done.returncode == 0, done.stderr
        assert "pendulum" in done.stdout


@pytest.mark.parametrize(
    ("source", "name", "why"),
    [
        (None, "my_rowz", "No module named 'my_rowz'"),
        ("1 / 0", "my_rowz", "ZeroDivisionError.*my_rowz.py, line 1"),
        ("", "my_rowz.py", "without .py"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_message(source, name, why, tmp_path):
    if source is not None:
        (tmp_path / "my_rowz.py").write_text(source)
    done = subprocess.run(
        [COMMAND, "tasks", "--import", name], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"mmbench: cannot import {name!r}: ")
    assert re.search(why, line)


def test_a_domain_that_a_worker_does_not_know_says_what_to_do():
    mmbench.register(DOMAIN, TASK)  # in this process only
    with pytest.raises(catalog.EnvironmentFailure, match=r"'springs'.*imports=\[\.\.\.\]"):
        gym.make_vec("mmbench:mmbench/multitask-v0", tasks=[TASK], num_workers=1)


def test_the_example_saves_and_restores_its_state(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    sys.modules.pop("mmbench_springs.tasks", None)
    catalog.import_modules(["mmbench_springs.tasks"])
    env = TaskEnv("spring-pull")
    env.reset(seed=0)
    state = env.get_state()
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 16)).astype(np.float32)
    taken = [env.step(action)[0] for action in actions]
    env.set_state(state)
    assert all((env.step(a)[0] == obs).all() for a, obs in zip(actions, taken, strict=True))
