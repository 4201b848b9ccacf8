"""Makes again what is generated from the catalogue, after a task was added or changed.

    uv run packages/mmbench/scripts/refresh.py

* The embeddings of all instructions. MiniLM's weights come with the extra ``language``, and the
  vectors are those that ``embed(texts, encoder="minilm")`` computes.
* The step costs of tasks that have none and can run here. ``--all-costs`` measures every task
  again, which takes ten minutes on an idle machine.
* ``docs/tasks.md``, which needs every simulator.
"""

import argparse
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mmbench.catalog import TASKS
from mmbench.commands.bench import step_cost
from mmbench.domains import unavailable
from mmbench.language import cache, encoder_dim
from mmbench.language.encoders import MINILM_PACKAGE, encode_minilm, load_minilm, packaged_minilm
from mmbench.runs.files import write_atomically

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "packages" / "mmbench" / "src" / "mmbench"
EMBEDDINGS = SOURCE / "language" / cache.FILE
COSTS = SOURCE / "vector" / "step_costs.json"
SECONDS = 0.5  # for the steps of each task that is measured


def embeddings() -> None:
    """Embeds every instruction of the catalogue and replaces the shipped file."""
    if packaged_minilm() is None:
        sys.exit(f"{MINILM_PACKAGE} is not installed: it comes with the extra language")
    texts = list(dict.fromkeys(task.instruction for task in TASKS))
    if not all(texts):
        empty = [task.name for task in TASKS if not task.instruction]
        sys.exit(f"{len(empty)} tasks have no instruction: {', '.join(empty)}")
    keys = np.array([cache.key(text) for text in texts], "S64")
    if set(keys.tolist()) == {key.encode() for key in cache.shipped("minilm")}:
        print(f"{EMBEDDINGS}: no instruction has changed")
        return
    vectors = encode_minilm(load_minilm(), texts)
    assert vectors.shape == (len(texts), encoder_dim("minilm"))
    content = io.BytesIO()
    np.savez(content, minilm_keys=keys, minilm_vectors=vectors)
    write_atomically(EMBEDDINGS, content.getvalue())
    print(f"{EMBEDDINGS}: {len(texts)} embeddings of {vectors.shape[1]} values")


def costs(every: bool) -> None:
    """Measures the step costs that are missing, or all, and forgets those of tasks that are gone.

    Args:
        every: Measure all.
    """
    known: dict[str, float] = json.loads(COSTS.read_text())
    wanted = [task for task in TASKS if every or task.id not in known]
    for task in wanted:
        if unavailable(task) is None:
            known[task.id] = round(step_cost(task, SECONDS), 1)
            print(f"{task.id}: {known[task.id]} us")
    table = {task.id: known[task.id] for task in TASKS if task.id in known}
    write_atomically(COSTS, json.dumps(table, indent=0) + "\n")
    print(f"{COSTS}: {len(table)} of {len(TASKS)} tasks")


def main() -> None:
    """Makes everything again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all-costs", action="store_true", help="measure every task again")
    arguments = parser.parse_args()
    embeddings()
    costs(arguments.all_costs)
    subprocess.run([sys.executable, ROOT / "docs" / "tasks_table.py"], check=True)


if __name__ == "__main__":
    main()
