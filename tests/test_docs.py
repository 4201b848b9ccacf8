"""What is generated in the docs is what the catalogue, recordings, tests and tapes say."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from mmbench.catalog import DOMAINS, TASKS, get
from mmbench.domains import unavailable

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "tasks.md").read_text()
AGAIN = "out of date: run `uv run python docs/tasks_table.py`"


@pytest.fixture(scope="module")
def tasks_checks():
    return _script("tasks_checks")


@pytest.fixture(scope="module")
def tasks_table(tasks_checks):
    return _script("tasks_table")


def _script(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        module = importlib.import_module(name)
    del sys.modules[name]
    return module


@pytest.fixture(scope="module")
def checks(tasks_checks):
    lacking = [
        domain
        for domain in DOMAINS
        if all(unavailable(task) for task in TASKS if task.domain == domain)
    ]
    if lacking:
        pytest.skip(f"pytest cannot list the tests without the simulators of {', '.join(lacking)}")
    return tasks_checks.checks()


def test_the_page_is_what_the_script_writes(tasks_table, checks):
    assert PAGE.splitlines() == tasks_table.render(checks).splitlines(), AGAIN


def test_the_table_of_demonstrations_is_what_the_tapes_say():
    table = _script("demos_table")
    page = table.PAGE.read_text()
    assert page == table.render(page), "out of date: run `uv run python docs/demos_table.py`"


def rows():
    """The cells of every task's row, by name."""
    lines = re.findall(r"^\| `(.+?)` \| (.*) \|$", PAGE, re.MULTILINE)
    return {name: re.split(r"(?<!\\) \| ", cells) for name, cells in lines}


def test_every_task_and_version_has_a_row_with_its_facts():
    names = [task.versioned_name for task in TASKS]
    assert sorted(rows()) == sorted(names), AGAIN
    for name, cells in rows().items():
        task = get(name)
        assert cells[1:5] == [
            str(task.obs_dim),
            str(task.action_dim),
            str(task.max_episode_steps),
            str(task.action_repeat),
        ]
        assert (task.differs if task.version else task.instruction) in cells[6]


def test_every_link_and_picture_is_there():
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    files = [target for target in targets if not target.startswith(("http", "#"))]
    assert len(files) > 10
    assert [target for target in files if not (DOCS / target).exists()] == []
    headings = {line[3:].lower() for line in PAGE.splitlines() if line.startswith("## ")}
    assert {target[1:] for target in targets if target.startswith("#")} == headings


def test_every_contact_sheet_is_shown():
    sheets = {path.stem for path in (DOCS / "images").glob("*.png")} & set(DOMAINS)
    assert sheets == set(re.findall(r"\(images/([\w-]+)\.png\)", PAGE)), AGAIN


@pytest.mark.parametrize(
    ("name", "expected", "unexpected"),
    [
        ("walker-walk", {"recorded steps", "recorded episodes", "package"}, {"v1"}),
        ("cheetah-run", {"package"}, {"recorded steps", "recorded episodes"}),
        ("og-ant", {"package"}, {"recorded steps"}),
        ("og-ant-spiral", {"recorded steps", "recorded episodes"}, {"package"}),
        ("rd-open-drawer", {"recorded steps", "package"}, {"v1"}),
        ("rd-open-slide-v1", {"v1", "rewards"}, {"recorded steps", "package"}),
        ("rd-push-red-v1", {"v1"}, {"rewards"}),
        ("ms-pick-apple", {"stand-in assets"}, {"rewards", "recorded episodes"}),
        ("mujoco-halfcheetah", {"package", "rewards"}, {"recorded steps"}),
        ("pygame-pong", {"recorded steps", "recorded episodes", "rewards"}, {"package"}),
    ],
)
def test_what_a_task_is_checked_by(checks, name, expected, unexpected):
    kinds = set(checks[get(name).id].split(", "))
    assert expected <= kinds
    assert not unexpected & kinds


def test_strings_of_a_test_name_its_tasks(tasks_checks, tmp_path):
    path = tmp_path / "test_it.py"
    path.write_text(
        "def test_a():\n    make('mmbench/walker-walk-v0'); make('mw-reach wall')\n"
        "def test_b(color):\n    make(f'rd-push-{color}')\n"
        "def test_c(name):\n    make(f'{name}'); make('rd-open-slide-v1'); make('*')\n"
    )
    assert tasks_checks._named_in_bodies(path) == {
        "test_a": {("walker-walk", 0)},
        "test_b": {
            (f"rd-push-{color}", version)
            for color in ("red", "green", "blue")
            for version in (0, 1)
        },
        "test_c": {("rd-open-slide", 1)},
    }


def test_the_longest_name_that_fits_is_the_task(tasks_checks):
    names = ["og-ant", "og-ant-maze", "mw-door-open"]
    found = tasks_checks._names_in("og-ant-maze-random / og-ant-v1-hold / mw-door-opened", names)
    assert list(found) == [("og-ant-maze", 0), ("og-ant", 1)]
