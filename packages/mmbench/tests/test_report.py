"""`mmbench report`: run folders and files of others in one table."""

import csv
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from reported import compared, write_file, write_run

from mmbench.catalog import select
from mmbench.cli import main
from mmbench.evaluation.protocol import LITE
from mmbench.evaluation.report import read_result, tables
from mmbench.evaluation.report.curve import curve_of
from mmbench.evaluation.report.plots import styles
from mmbench.evaluation.report.tables import shown
from mmbench.runs import RunError

POINT = {"step": 0, "seconds": 0, "score": 0}


def total(comparison):
    table = tables(comparison)[0]
    return {row[0]: dict(zip(table.header, map(shown, row), strict=True)) for row in table.rows}


def test_a_run_folder_holds_all_that_a_report_needs(tmp_path):
    run = read_result(write_run(tmp_path / "run"))
    assert (run.method, run.seed, run.steps, run.seconds) == ("ppo", 0, 1000, 100.0)
    assert {name: row.score for name, row in run.tasks.items()} == {
        "walker-walk": 0.5,
        "mw-reach": 0.25,
    }
    assert run.curve == ((520.0, 50.0, 0.125), (1000.0, 100.0, 0.25))


def test_what_only_pretrains_has_a_curve_from_before_to_after():
    rows = [
        {"step": "0", "phase": phase, "task": task, "score": score, "seconds": seconds}
        for phase, score, seconds in (
            ("random", "0.9", "1"),
            ("before", "0", "2"),
            ("after", "0.5", "9"),
        )
        for task in ("walker-walk", "mw-reach")
    ]
    assert curve_of(rows) == ((0.0, 2.0, 0.0), (0.0, 9.0, 0.5))


def test_folders_and_files_of_others_stand_in_one_report(tmp_path, capsys):
    own = [write_run(tmp_path / f"run{seed}", seed) for seed in range(3)]
    other = [write_file(tmp_path / f"{seed}.json", seed=seed) for seed in range(2)]
    main(["report", *own, *other, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "| ppo | 0.375 [0.375, 0.375] | 0.375" in printed
    assert "| ours | 0.600 | 0.600 | 2 of 2 | 2 |" in printed  # two runs: no interval
    assert "Fewer than 3 runs, so no interval: ours 2." in printed
    assert "ours has no run of seed 2." in printed
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files >= {"report.html", "report.md", "total.csv", "tasks.csv", "curve_steps.png"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r"(src|href)=\"(?!data:)", page)  # nothing from outside
    with (tmp_path / "out" / "total.csv").open() as file:
        first = next(csv.DictReader(file))
    assert (first["method"], first["mean"], first["mean low"]) == ("ours", "0.6", "")


def test_a_reports_own_results_make_the_same_report(tmp_path, capsys):
    """So that numbers can be published without the runs' folders."""
    label = {"name": "lite", "version": 1, "row": "a/b", "changed": ["steps"]}
    runs = [write_run(tmp_path / f"run{seed}", seed, protocol=label) for seed in range(3)]
    other = write_file(tmp_path / "a.json", scores=(0.5,), missing=["mw-reach"], seconds=None)
    main(["report", *runs, other, "--out", str(tmp_path / "one")])
    results = sorted((tmp_path / "one" / "results").iterdir())
    assert [path.name for path in results] == [
        *(f"a%2Fb-{seed}.json" for seed in range(3)),
        "ours-0.json",
    ]
    main(["report", *map(str, results), "--out", str(tmp_path / "two")])
    for name in ("total.csv", "domains.csv", "tasks.csv", "improvement.csv", "curve_steps.png"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two, name


def test_a_task_that_could_not_run_is_counted(tmp_path):
    few = write_file(tmp_path / "a.json", "few", scores=(0.9,), missing=["mw-reach"])
    comparison = compared(few, write_file(tmp_path / "b.json"))
    assert total(comparison)["few"]["tasks"] == "1 of 2"
    told = "Scores of 1 of 2 tasks (not mw-reach), over which their means are: few."
    assert told in comparison.notes
    assert "Methods differ in their tasks; improvement is over those that both have." in (
        comparison.notes
    )
    same = compared(write_file(tmp_path / "b.json"), write_file(tmp_path / "c.json", "c"))
    assert not any("tasks" in note for note in same.notes)


def test_methods_with_the_same_tasks_are_told_together(tmp_path):
    few = [write_file(tmp_path / f"{n}.json", n, scores=(0.9,)) for n in ("a", "b", "c")]
    notes = compared(*few, write_file(tmp_path / "whole.json", "whole")).notes
    (note,) = [note for note in notes if "Scores of" in note]
    assert note.endswith("not mw-reach), over which their means are: a, b, c.")


def test_whole_domains_have_the_papers_numbers_beside_them(tmp_path):
    from mmbench import tasks

    rows = {task.name: {"score": 0.5, "episodes": 1} for task in tasks(domain="mujoco")}
    rows["walker-walk"] = {"score": 0.5, "episodes": 1}
    domains = tables(compared(write_file(tmp_path / "a.json", tasks=rows)))[1]
    assert domains.header[-2:] == ["paper: Newt", "paper: TD-MPC2"]
    of = {row[0]: row[-2:] for row in domains.rows}
    assert of == {"mujoco": [0.20, 0.64], "dmcontrol": [None, None], "total": [None, None]}


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"format": "other"}, "format is 'other'; this version reads 'mmbench-result-1'"),
        ({"method": None}, "'method' is missing; it has to be text"),
        ({"seed": "0"}, "seed is '0'; it has to be an integer"),
        ({"seed": True}, "seed is True; it has to be an integer"),
        ({"tasks": {}}, "no task has a score"),
        ({"tasks": {"walk": {"score": 0, "episodes": 1}}}, "'walk': mmbench has no such task"),
        ({"tasks": {"mw-reach": {"score": 70, "episodes": 1}}}, "'mw-reach': score is 70"),
        ({"tasks": {"mw-reach": {"score": 0.5}}}, "'mw-reach': 'episodes' is missing"),
        ({"tasks": {"mw-reach": 0.5}}, "an object with score and episodes is needed, got 0.5"),
        ({"missing": ["mw-reach"]}, "'mw-reach' is in tasks and in missing"),
        ({"curve": [{"step": 0, "score": 1}]}, "a point of curve: 'seconds' is missing"),
        ({"protocol": {"name": "huge", "version": 1}}, "unknown protocol 'huge'"),
        ({"protocol": {"name": "lite", "version": 99}}, "version 99 of the protocol 'lite'"),
        ({"time": 3}, "unknown entry 'time'"),
        ({"protocol": {"name": "lite", "version": 1, "chnaged": []}}, "unknown entry 'chnaged'"),
        ({"protocol": {"name": "lite", "version": 1, "changed": [1]}}, "changed holds 1"),
        ({"tasks": {"mw-reach": {"score": 1, "episodes": 1, "std": 0}}}, "unknown entry 'std'"),
        ({"curve": [{**POINT, "std": 0}]}, "a point of curve: unknown entry 'std'"),
        ({"curve": [{**POINT, "score": math.nan}]}, "score is nan"),
        ({"curve": [{**POINT, "score": 1.1}]}, "score is 1.1; it has to lie between 0 and 1"),
        ({"curve": [{**POINT, "score": -0.1}]}, "score is -0.1"),
        ({"curve": [{**POINT, "seconds": math.inf}]}, "seconds is beyond all measure"),
        ({"curve": [{**POINT, "step": 10**400}]}, "step is beyond all measure"),
        ({"curve": [{**POINT, "step": 100}, POINT]}, "curve has step 0 after 100"),
        ({"steps": -5}, "steps is -5; it has to be from 0"),
        ({"steps": 10**400}, "steps is beyond all measure"),
        ({"seconds": -1}, "seconds is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296; it has to be less than 4,294,967,296"),
        (
            {"tasks": {"mw-reach": {"score": 10**400, "episodes": 1}}},
            "it has to lie between 0 and 1",
        ),
        ({"versions": {"mmbench": ["0.1"]}}, "versions of 'mmbench' is ['0.1']"),
        ({"missing": [["a"]]}, "missing holds ['a']"),
        ({"method": ""}, "method is ''; it has to be a name"),
        ({"method": "a\nb"}, "method is 'a\\nb'"),
        ({"method": " a"}, "method is ' a'"),
        ({"method": "\ud800"}, "method is '\\ud800'"),
        ({"method": "m" * 65}, "it has to be a name of 1 to 64 printable characters"),
    ],
)
def test_files_are_validated(tmp_path, change, complaint):
    path = write_file(tmp_path / "a.json", **change)
    with pytest.raises(RunError, match=re.escape(complaint)) as error:
        read_result(path)
    assert path in str(error.value)


def test_check_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["report", "--check", write_file(tmp_path / "a.json")])
    assert "ours, seed 0, 2 tasks, protocol none" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_check_tells_of_every_run(tmp_path, capsys):
    damaged = [write_file(tmp_path / f"{seed}.json", seed=seed, format=0) for seed in range(2)]
    with pytest.raises(SystemExit):
        main(["report", "--check", *damaged, write_file(tmp_path / "good.json")])
    told = capsys.readouterr()
    assert "ours, seed 0, 2 tasks" in told.out
    assert all(f"{path}: format is 0" in told.err for path in damaged)
    assert "2 of 3 runs cannot be read" in told.err


def test_an_unfinished_run_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    (tmp_path / "run" / "eval.json").unlink()
    with pytest.raises(RunError, match="is not finished"):
        read_result(path)
    longer = write_run(tmp_path / "longer", steps=5000, evaluated=1000)
    with pytest.raises(RunError, match="is not finished: it was evaluated at 1,000 of 5,000"):
        read_result(longer)


def test_an_unfinished_run_stops_no_report_of_the_folder_around_it(tmp_path, capsys):
    write_run(tmp_path / "runs" / "done")
    write_run(tmp_path / "runs" / "longer", seed=1, steps=5000, evaluated=1000)
    main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    told = capsys.readouterr()
    assert "| ppo | 0.375 | 0.375 | 2 of 2 | 1 |" in told.out
    assert re.search("left out: .*longer is not finished", told.err)
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "runs" / "longer"), "--out", str(tmp_path / "out")])


def test_a_method_has_its_colour_in_every_report():
    def colours(*methods):
        return {name: colour for name, (colour, _) in styles(methods).items()}

    assert colours("newt", "bc")["bc"] == colours("ppo", "bc", "mine")["bc"]
    assert colours("a", "newt", "b") == colours("b", "a", "newt")
    every = styles([*LITE.entrants, *map(str, range(18))])
    assert len(set(every.values())) == len(every)


def test_pictures_have_captions_that_say_what_is_drawn(tmp_path):
    def captions(runs):
        main(["report", *runs, "--out", str(tmp_path / "out")])
        texts = [(tmp_path / "out" / f"report.{kind}").read_text() for kind in ("md", "html")]
        found = re.findall(r"^!\[\w+\]\(\w+\.png\)\n\n(.+)$", texts[0], re.MULTILINE)
        assert len(found) == 3
        assert all(f"<figcaption>{caption}</figcaption>" in texts[1] for caption in found)
        return " ".join(found)

    runs = [write_run(tmp_path / f"run{seed}", seed) for seed in range(3)]
    assert "A band" not in captions(runs[:2]) and "intervals" not in captions(runs[:2])
    assert "A band" in captions(runs) and "95 % intervals" in captions(runs)


def test_two_versions_of_a_protocol_are_never_in_one_report(tmp_path, monkeypatch):
    import dataclasses

    from mmbench.evaluation import protocol

    later = dataclasses.replace(protocol.LITE, version=2)
    monkeypatch.setitem(protocol.PROTOCOLS, "lite", later)
    one = write_file(tmp_path / "a.json", protocol={"name": "lite", "version": 1})
    two = write_file(tmp_path / "b.json", "b", protocol={"name": "lite", "version": 2})
    with pytest.raises(RunError, match=r"a\.json follows lite 1, and .*b\.json lite 2"):
        compared(one, two)


def test_a_run_that_changed_the_protocol_is_labelled(tmp_path):
    changed = ["tasks", "steps", "eval_episodes"]
    label = {"name": "lite", "version": 1, "row": "ppo", "changed": changed}
    comparison = compared(write_run(tmp_path / "run", protocol=label))
    assert total(comparison)["ppo"]["protocol"] == "not lite: tasks, steps, eval_episodes"
    assert "ppo is not lite: tasks, steps, eval_episodes." in comparison.notes


LITE_LABEL = {"name": "lite", "version": 1, "row": "mine", "changed": []}
LITE_TASKS = [task.name for task in select("lite")]


@pytest.mark.parametrize(
    "change, told",
    [
        ({}, "lite 1"),
        ({"steps": 30_000}, "lite 1"),  # updates of a method that does not act
        ({"steps": 200_001}, "not lite: steps"),
        ({"protocol": {**LITE_LABEL, "row": "ppo"}, "steps": 30_000}, "not lite: steps"),
        ({"protocol": {**LITE_LABEL, "row": "bc"}, "steps": 30_000}, "lite 1"),
        ({"protocol": {**LITE_LABEL, "changed": ["updates"]}, "steps": 10**6}, "not lite: updates"),
        ({"tasks": LITE_TASKS[1:]}, "not lite: tasks"),
        ({"tasks": LITE_TASKS[1:], "missing": LITE_TASKS[:1]}, "lite 1"),
        ({"tasks": [*LITE_TASKS, "walker-walk"]}, "not lite: tasks"),
        ({"episodes": 5}, "not lite: eval_episodes"),
    ],
)
def test_who_claims_a_protocol_has_its_tasks_steps_and_episodes(tmp_path, change, told):
    given = {
        "tasks": LITE_TASKS,
        "steps": 200_000,
        "protocol": LITE_LABEL,
        "episodes": 10,
        **change,
    }
    row = {"score": 0.5, "episodes": given.pop("episodes")}
    path = write_file(tmp_path / "a.json", **{**given, "tasks": dict.fromkeys(given["tasks"], row)})
    assert str(read_result(path).protocol) == told


def test_a_task_without_a_score_is_missing(tmp_path):
    rows = {
        "mw-reach": {"score": 1, "episodes": 10},
        "walker-walk": {"score": None, "episodes": 10},
    }
    result = read_result(write_file(tmp_path / "a.json", tasks=rows))
    assert list(result.tasks) == ["mw-reach"] and result.missing == ("walker-walk",)
    assert compared(write_file(tmp_path / "a.json", tasks=rows)).asked == 2


def test_a_task_has_one_name(tmp_path):
    row = {"score": 1, "episodes": 10}
    one = write_file(
        tmp_path / "a.json", "a", tasks={"mw-reach-v0": row}, missing=["walker-walk-v0"]
    )
    other = write_file(tmp_path / "b.json", "b", tasks={"mw-reach": row}, missing=["walker-walk"])
    comparison = compared(one, other)
    assert list(comparison.tasks) == ["mw-reach"] and comparison.asked == 2
    with pytest.raises(RunError, match="'mw-reach-v0': it is there under another name too"):
        read_result(write_file(tmp_path / "c.json", tasks={"mw-reach": row, "mw-reach-v0": row}))


def test_mixed_versions_are_told(tmp_path):
    one = write_file(tmp_path / "a.json")
    two = write_file(tmp_path / "b.json", seed=1, versions={"mmbench": "0.2.0"})
    (note,) = [note for note in compared(one, two).notes if "Versions" in note]
    assert note == f"Versions of mmbench differ: 0.1.0 ({one}), 0.2.0 ({two})."


def test_runs_that_are_no_seeds_of_one_method_need_names(tmp_path):
    one, two = write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1, steps=2000)
    with pytest.raises(RunError, match="with steps 1000 and 2000"):
        compared(one, two)
    file = write_file(tmp_path / "0.json", "ppo", seed=5, steps=1000)  # of no settings
    with pytest.raises(RunError, match="with steps 1000 and 2000"):
        compared(file, one, two)
    with pytest.raises(RunError, match="with steps 1000 and 7"):
        compared(file, write_file(tmp_path / "1.json", "ppo", seed=6, steps=7))
    assert set(total(compared(one, f"long={two}"))) == {"ppo", "long"}
    with pytest.raises(RunError, match="are both ppo with seed 0"):
        compared(one, one)


def test_the_example_of_the_page_writes_a_result(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[3] / "docs" / "lite.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    tasks = "mw-reach,og-point-maze"
    assert 'tasks="lite"' in code
    monkeypatch.chdir(tmp_path)
    subprocess.run(
        [sys.executable, "-c", code.replace('tasks="lite"', f"tasks={tasks!r}")], check=True
    )
    main(["report", "--check", "mine-0.json"])
    assert "mine, seed 0, 2 tasks, protocol not lite: tasks" in capsys.readouterr().out
    assert set(read_result("mine-0.json").tasks) == set(tasks.split(","))
