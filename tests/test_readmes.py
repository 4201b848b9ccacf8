"""The Python of the READMEs, run as it stands."""

import re
from pathlib import Path

import pytest
import torch
from tiny import TINY

from mmbench import catalog
from mmbench.evaluation.report import Comparison, read_result
from mmbench.runs import RunFolder
from newt_agent import PlanningAgent

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with the run that the READMEs load; its agent has learned nothing."""
    torch.set_num_threads(1)  # other tests run beside it
    folder = tmp_path_factory.mktemp("readme")
    tasks = catalog.select("quickstart")
    generator = torch.Generator().manual_seed(0)
    agent = PlanningAgent.create(tasks, "XS", "minilm", TINY.planner, generator)
    with RunFolder.create(folder / "runs" / "first", "readme") as made:
        made.publish_checkpoint(0, agent.save)
    return folder


@pytest.mark.parametrize(
    ("path", "is_whole_episode"),
    [
        ("README.md", True),
        ("packages/newt-agent/README.md", True),
        ("packages/mmbench/README.md", False),
        ("packages/miniarcade/README.md", False),
    ],
)
def test_the_examples_run(path, is_whole_episode, run, monkeypatch, capsys):
    """The agents' go from `gym.make` to an episode's score."""
    examples = re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), re.DOTALL)
    assert examples
    monkeypatch.chdir(run)
    names: dict = {}
    for code in examples:
        exec(compile(code, path, "exec"), names)
    if is_whole_episode:
        printed = float(capsys.readouterr().out)
        assert printed == names["info"]["score"] and 0.0 <= printed <= 1.0
        assert names["truncated"], "the episode is over"


def test_the_tables_of_lite_say_what_its_result_files_say():
    files = sorted((ROOT / "docs" / "results" / "lite").glob("*.json"))
    entries = Comparison([read_result(str(path)) for path in files]).entries
    scores = [(entry.method, entry.mean.value) for entry in entries]
    readme = re.findall(
        r"^\| ([a-z0-9_-]+) \| (\d\.\d\d) \|", (ROOT / "README.md").read_text(), re.M
    )
    assert readme == [(method, f"{score:.2f}") for method, score in scores]
    page = (ROOT / "docs" / "results" / "lite.md").read_text()
    for method, score in scores:
        assert f"| {method} | {score:.3f} |" in page


def test_the_container_installs_what_the_readme_says():
    readme, dockerfile = ((ROOT / name).read_text() for name in ("README.md", "Dockerfile"))
    named = set(re.findall(r"\blib[a-z0-9-]+\b(?=[ `])", "".join(
        re.findall(r"apt-get install ([^`]+`)", readme)
    )))  # fmt: skip
    assert named and named <= set(re.findall(r"[a-z0-9-]+", dockerfile))
    for line in ('"uv>=0.9,<1"', "uv sync --locked"):
        assert line in dockerfile and line in (ROOT / ".ci" / "run").read_text()
