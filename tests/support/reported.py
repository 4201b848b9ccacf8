"""Runs and result files to report on."""

import json

from mmbench.evaluation.report import FORMAT, Comparison, read_result
from mmbench.runs import METRIC_FIELDS, RunFolder

VERSIONS = {"mmbench": "0.1.0"}


def write_file(path, method="ours", seed=0, scores=(0.5, 0.7), **changes):
    names = ("walker-walk", "mw-reach")[: len(scores)]
    tasks = {n: {"score": s, "episodes": 10} for n, s in zip(names, scores, strict=True)}
    content = {
        **{"format": FORMAT, "method": method, "seed": seed, "tasks": tasks, "steps": 100},
        **{"versions": VERSIONS, "seconds": 60.0},
        "curve": [{"step": 0, "seconds": 0, "score": 0}, {"step": 100, "seconds": 60, "score": 1}],
        **changes,
    }
    path.write_text(json.dumps(content))
    return str(path)


def write_run(path, seed=0, steps=1000, protocol=None, evaluated=None):
    config = {"method": "ppo", "config": {"seed": seed, "steps": steps}, "versions": VERSIONS}
    rows = [
        {
            **dict.fromkeys(METRIC_FIELDS, 0.0),
            **{"step": step, "phase": "train", "task": task, "score": score, "seconds": step / 10},
        }
        for step in (500, 1000)
        for task, score in (("walker-walk", step / 2000), ("mw-reach", 0.0))
    ]
    tasks = {
        "walker-walk": {"domain": "dmcontrol", "score": 0.5, "episodes": 2},
        "mw-reach": {"domain": "metaworld", "score": 0.25, "episodes": 2},
    }
    with RunFolder.create(path, "ppo") as folder:
        folder.write_config(config if protocol is None else {**config, "protocol": protocol})
        folder.metrics.begin()
        folder.metrics.append(rows)
        folder.write_eval({"step": evaluated or steps, "tasks": tasks})
    return str(path)


def compared(*sources):
    return Comparison([read_result(source) for source in sources])
