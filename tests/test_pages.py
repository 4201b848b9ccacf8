"""The pages of docs/ that tell how to add something, followed as they stand.

Files are written as their first line names them, scripts called ``try_*`` are run, and so is every
``uv run mmbench`` line. Training is left to the slow test, and made short.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import doctor_stubs
import pytest
from outside import EXAMPLES, HAS_UV, install

DOCS = Path(__file__).parents[1] / "docs"
HANG = 600
TRAINING = ("add_a_task", "add_a_domain", "your_own_environment", "add_an_arcade_game")
PAGES = (*TRAINING, "demonstrations")
SHORT = (
    "--preset quickstart --steps 600 --seed-steps 200 --eval-episodes 1 --no-plan "
    "--no-plan-in-eval --batch-size 8 --utd 0.02 --envs-per-task 1 --replay-capacity 5000"
)

pytestmark = pytest.mark.skipif(not HAS_UV, reason="uv is not installed")


class Reader:
    """Follows one page in a folder."""

    def __init__(self, page, folder):
        text = (DOCS / f"{page}.md").read_text()
        self.folder = folder
        self.files = []
        for block in re.findall(r"```python\n(# \w+\.py\n.*?)```", text, re.DOTALL):
            name = block.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(block)
            self.files.append(name)
        shell = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
        self.commands = [shlex.split(line) for line in shell.splitlines()]
        stubs = folder / "stubs"
        stubs.mkdir()
        self.path = [doctor_stubs.write(stubs)]

    def run(self, *command, stubs=True):
        path = self.path if stubs else self.path[1:]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
        executable, *arguments = command
        if executable != sys.executable:
            executable = Path(sys.executable).with_name(executable)
        done = subprocess.run(
            [executable, *map(str, arguments)],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=HANG,
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def of(self, program):
        """The arguments of every line that starts a program."""
        return [words[3:] for words in self.commands if words[:3] == ["uv", "run", program]]


@pytest.fixture
def reader(request, tmp_path):
    reader = Reader(request.param, tmp_path)
    for words in reader.commands:
        if words[:3] == ["uv", "pip", "install"]:
            (package,) = (DOCS.parent / words[3]).relative_to(EXAMPLES).parts
            install(EXAMPLES / package, tmp_path / "site")
            reader.path.append(tmp_path / "site")
    return reader


@pytest.mark.parametrize("reader", PAGES, indirect=True)
def test_what_a_page_shows_runs(reader):
    commands = reader.of("mmbench")
    assert commands
    for arguments in commands:
        reader.run("mmbench", *arguments, stubs=arguments[0] == "doctor")
        if "--out" in arguments:
            assert (reader.folder / arguments[arguments.index("--out") + 1]).stat().st_size > 1000
    for name in reader.files:
        if name.startswith("try_"):
            reader.run(sys.executable, name, stubs=False)


@pytest.mark.parametrize("reader", ["add_a_method"], indirect=True)
def test_the_method_of_the_page_trains_and_acts(reader):
    (about, training) = reader.of("baselines-train")
    assert "hill" in reader.run("baselines-train", *about, stubs=False)
    short = ("--steps", "1200", "--eval-episodes", "1", "--threads", "1", "--out", "run")
    reader.run("baselines-train", *training, *short, stubs=False)
    words = ("--checkpoint", "run", "--episodes", "1", "--json", "eval.json")
    reader.run("baselines-eval", *words, stubs=False)
    result = json.loads((reader.folder / "eval.json").read_text())
    assert 0 <= result["total"]["score"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("reader", TRAINING, indirect=True)
def test_training_as_a_page_shows(reader):
    lines = reader.of("newt-train")
    assert lines
    for number, arguments in enumerate(lines):
        reader.run("newt-train", *arguments, *SHORT.split(), "--out", f"run{number}", stubs=False)
        evaluation = ("--checkpoint", f"run{number}", "--episodes", "1", "--no-plan")
        reader.run("newt-eval", *evaluation, stubs=False)


def test_links_lead_somewhere_and_paths_are_there():
    for page in (*PAGES, "add_a_method"):
        text = (DOCS / f"{page}.md").read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (DOCS / target).exists(), target
        for path in re.findall(r"(?:packages|docs)/[\w/.-]+\w", text):
            assert (DOCS.parent / path).exists(), path


@pytest.mark.parametrize(
    ("page", "example"), [("add_a_domain", "springs"), ("add_a_method", "hill")]
)
def test_a_page_links_all_of_its_example(page, example):
    text = (DOCS / f"{page}.md").read_text()
    for path in (EXAMPLES / example).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and path.stat().st_size > 100:
            assert str(path.relative_to(DOCS)) in text
