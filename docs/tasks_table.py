"""Writes docs/tasks.md: `uv run python docs/tasks_table.py`.

Every task a row, from the catalogue, the recordings and the tests. Nothing in it depends on the
machine, except that listing the tests needs every simulator installed.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import contact_sheets
import tasks_checks

from mmbench.assets import ASSETS, required_asset
from mmbench.catalog import BENCHMARK, TASKS, Domain, Task, domain

PAGE = Path(__file__).parent / "tasks.md"
IMAGES = Path(__file__).parent / "images"

SPLITS = {"train": "train", "test": "held out", "extra": "extra"}

HEADER = """\
# The tasks

<!-- Written by `uv run python docs/tasks_table.py`: change the catalogue or the tests instead. -->

{total} tasks: {train} to train on, {test} held out, and {extra} more that the benchmark defines
and uses for neither. {corrected} of them have a corrected version beside the published one.
`mmbench doctor` tells which can run on a machine, and how to get the rest.

* **obs**, **action**: entries before padding to 128 and 16. **steps**: agent steps of an episode.
  **repeat**: native steps in each.
* **score**: the returns that count as 0 and 1, or the success of the last step.
* **needs**: what to install, and what to fetch besides (`mmbench assets download --tasks NAME`).
* **demonstrations**: who played them, and what they score and cost, is in
  [results/demos.md](results/demos.md), a row a task.
* **checked by**: what is tested of the task beyond what is tested of every task that can run
  ([tests/test_every_task.py](../tests/test_every_task.py): sizes, masks, whole episodes, seeds,
  exact save and restore).
  * *recorded steps, rollouts, episodes*: equal to what was recorded from the published benchmark:
    exact steps or whole rollouts, and statistics of episodes under three policies
    ([tests/reference](../tests/reference/README.md), [how close](results/conformance.md)).
  * *package*: equal to the simulator package's own step.
  * *rewards*: rewards or success computed by hand, at states set by hand or reached by scripted
    actions. *v1*: what the corrected version corrects.
  * *{stand_in}*: the task's own asset was never at hand; its class is tested with a stand-in.
  * *{generic}*: only what is tested of every task.
"""


def render(checks: Mapping[str, str]) -> str:
    """Returns the page.

    Args:
        checks: What every record of the catalogue is checked by, by id.
    """
    published = [task for task in TASKS if task.version == 0]
    count = {split: sum(task.split == split for task in published) for split in SPLITS}
    header = HEADER.format(
        total=len(published),
        **count,
        corrected=len({task.name for task in TASKS if task.version > 0}),
        stand_in=tasks_checks.STAND_IN,
        generic=tasks_checks.ONLY_GENERIC,
    )
    sections = [_section(each, checks) for each in BENCHMARK]
    return "\n".join([header, _overview(published), *sections])


def _overview(published: list[Task]) -> str:
    lines = [
        "| domain | train | held out | extra | with a v1 | needs | tested by |",
        "| --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for own in BENCHMARK:
        tasks = [task for task in published if task.domain == own.name]
        counts = [str(sum(task.split == split for task in tasks) or "") for split in SPLITS]
        v1 = sum(task.domain == own.name and task.version > 0 for task in TASKS) or ""
        title = f"[{own.title}](#{own.title.lower()})"
        files = [
            f"[{path.stem}](../{path.relative_to(tasks_checks.ROOT)})"
            for path in tasks_checks.test_files(own.name)
            if "miniarcade/tests" not in str(path)
        ]
        if own.name == "miniarcade":
            files = ["[packages/miniarcade/tests](../packages/miniarcade/tests)", *files]
        row = [title, *counts, str(v1), _install(own), ", ".join(files)]
        lines.append(f"| {' | '.join(row)} |")
    assets = ", ".join(f"`{asset.name}` ([source]({asset.url}))" for asset in ASSETS)
    return "\n".join([*lines, "", f"Assets: {assets}.", ""])


def _install(own: Domain) -> str:
    package = f"`mmbench[{own.extra}]`" if own.extra else "`mmbench`"
    return f"{package}, Python {own.python}" if own.python else package


def _section(own: Domain, checks: Mapping[str, str]) -> str:
    lines = [f"## {own.title}", ""]
    if (IMAGES / f"{own.name}.png").is_file():
        lines += _picture(own)
    lines += [
        "| task | split | obs | action | steps | repeat | score | instruction | needs "
        "| checked by |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- | --- | --- | --- |",
    ]
    tasks = [task for task in TASKS if task.domain == own.name]
    first = {task.name: index for index, task in reversed(list(enumerate(tasks)))}
    for task in sorted(tasks, key=lambda task: (first[task.name], task.version)):
        lines.append(f"| {' | '.join(_row(task, checks[task.id]))} |")
    return "\n".join([*lines, ""])


def _picture(own: Domain) -> list[str]:
    shown = contact_sheets.shown(own.name)
    tasks = [task for task in TASKS if task.domain == own.name and task.version == 0]
    count = "every task" if len(shown) == len(tasks) else f"{len(shown)} of the {len(tasks)} tasks"
    lines = [f"![A frame of {count} of {own.title}](images/{own.name}.png)", ""]
    if len(shown) < len(tasks):
        lines += [f"The picture shows {count}: the others need an asset.", ""]
    if own.name == "maniskill":
        lines += ["Frames need a Vulkan device; states need none.", ""]
    return lines


def _row(task: Task, checked_by: str) -> list[str]:
    asset = required_asset(task)
    score = "success"
    if task.score_metric == "return":
        score = f"{task.score_low:g} to {task.score_high:g}"
    text = task.instruction if task.version == 0 else f"*As v0, but:* {task.differs}"
    return [
        f"`{task.versioned_name}`",
        SPLITS[task.split],
        str(task.obs_dim),
        str(task.action_dim),
        str(task.max_episode_steps),
        str(task.action_repeat),
        score,
        text.replace("|", "\\|"),
        _install(domain(task.domain)) + (f", asset `{asset.name}`" if asset else ""),
        checked_by,
    ]


if __name__ == "__main__":
    PAGE.write_text(render(tasks_checks.checks()))
    print(f"{PAGE}: {len(TASKS)} rows", file=sys.stderr)
