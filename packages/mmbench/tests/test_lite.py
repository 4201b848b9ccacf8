"""The track `lite`, and `mmbench lite run` with programs that pretend to learn."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmbench import catalog
from mmbench.cli import main
from mmbench.demos import bars
from mmbench.demos.places import find_tape
from mmbench.demos.tape import read_tape
from mmbench.evaluation.protocol import LITE
from mmbench.vector import grouping

TASKS = catalog.select("lite")

LEARNER = """\
#!{python}
import json, os, sys, time
words = sys.argv[1:]
method = words.pop(0) if "--resume" not in words and words[0][0] != "-" else "newt"
given = dict(zip(words[::2], words[1::2]))
folder = given.get("--resume") or given["--out"]
os.makedirs(folder, exist_ok=True)
config = os.path.join(folder, "config.json")
if "--resume" not in given:
    row = os.path.basename(folder).rpartition("-")[0]
    own = {{"tasks": "lite", "steps": {steps}, "demos": "auto", "optimizer": {{"lr": 0.001}}}}
    settings = {{**own, **{{n: type(v)(given.get("--" + n, v)) for n, v in own.items()}}}}
    if "--optimizer.lr" in given:
        settings["optimizer"] = {{"lr": float(given["--optimizer.lr"])}}
    changed = [n for n in own if settings[n] != own[n]]
    if "demos" in changed:
        row = "newt-no-demos"
        changed.remove("demos")
    label = {{"name": "lite", "version": {version}, "row": row, "changed": changed}}
    json.dump({{"method": method, "config": {{"seed": int(given["--seed"]), **settings}},
        "protocol": label, "versions": {{"mmbench": "0.1.0"}}, "commit": "abc",
        "words": sys.argv[1:]}}, open(config, "w"))
if os.path.exists({block!r}):
    print("learning", flush=True)
    time.sleep(60)
if method == "ppo":
    print("the disk is full")
    sys.exit(2)
with open(os.path.join(folder, "metrics.csv"), "w") as file:
    file.write("step,phase,task,score,success,return,length,seconds\\n")
    file.write("100,train,mw-reach,0.5,1.0,1.0,100,30.0\\n")
steps = json.load(open(config))["config"]["steps"]
json.dump({{"step": steps, "tasks": {tasks}}},
    open(os.path.join(folder, "eval.json"), "w"))
"""


@pytest.fixture
def learners(tmp_path, monkeypatch):
    """Programs of the methods' names; while `block` exists, they go on for a minute."""
    bin = tmp_path / "bin"
    bin.mkdir()
    block = tmp_path / "block"
    for name in ("newt-train", "baselines-train"):
        tasks = {task.name: {"score": 0.5, "episodes": LITE.episodes} for task in TASKS}
        about = {"version": LITE.version, "steps": LITE.steps, "tasks": tasks}
        text = LEARNER.format(python=sys.executable, block=str(block), **about)
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    monkeypatch.setattr("mmbench.lite.jobs._program", lambda name: str(bin / name))
    return block


def lite(out, *words):
    main(["lite", "run", "--out", str(out), *words])


# The track


def test_there_are_20_tasks_of_six_domains_or_more():
    assert len(TASKS) == 20
    assert len({task.domain for task in TASKS}) >= 6
    assert {task.split for task in TASKS} == {"train"}


def test_actions_are_few_and_many_and_rewards_dense_and_sparse():
    sizes = {task.action_dim for task in TASKS}
    assert min(sizes) == 1 and max(sizes) == 7  # no wider one has demonstrations
    metrics = {task.score_metric for task in TASKS}
    assert metrics == {"return", "success"}
    names = {task.name for task in TASKS}
    assert names >= {"pygame-cartpole-balance-sparse", "cup-catch"}  # sparse
    assert names >= {"cartpole-swingup", "pygame-cowboy"}  # dense


@pytest.mark.parametrize(
    "one, other, words",
    [
        ("mw-faucet-open", "mw-faucet-close", ("right", "left")),
        ("mw-window-open", "mw-window-close", ("open", "clos")),
        ("ms-push-cube", "ms-pull-cube", ("away from", "close to")),
    ],
)
def test_three_pairs_differ_in_what_to_do_alone(one, other, words):
    pair = catalog.get(one), catalog.get(other)
    assert set(pair) <= set(TASKS)
    first, second = ((task.domain, task.obs_dim, task.action_dim) for task in pair)
    assert first == second
    assert all(word in task.instruction for word, task in zip(words, pair, strict=True))


def test_every_task_has_an_instruction_of_its_own():
    assert len({task.instruction for task in TASKS}) == len(TASKS)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_chance_fails_and_demonstrations_succeed(task):
    assert bars.random_score(task) < 0.15
    tape = read_tape(find_tape(task, None), task)
    assert tape.score > 0.6
    assert len(tape.episodes) >= 10


def test_steps_are_fast():
    shipped = grouping._shipped()
    costs = [shipped[task.id] for task in TASKS]
    assert max(costs) < 1_500  # microseconds
    assert sum(costs) / len(costs) < 300


def test_nothing_has_to_be_downloaded():
    from mmbench.assets.known import missing_assets

    assert not any(missing_assets(task) for task in TASKS if task.domain == "maniskill")


# Running it


def test_runs_are_done_and_counted_once(tmp_path, learners, capsys):
    lite(tmp_path / "out", "--methods", "newt-no-demos,fast_td3", "--seeds", "1,0")
    told = capsys.readouterr().out
    begun = [line.split()[0] for line in told.splitlines() if line.endswith(" begins")]
    assert begun == ["newt-no-demos-1", "fast_td3-1", "newt-no-demos-0", "fast_td3-0"]
    assert "4 of 4 runs done, about 0 min left" in told
    assert "4 runs to do, 2 at a time; stop with Ctrl-C, and the same command goes on" in told
    with (tmp_path / "out" / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["seed"]) for row in rows] == [
        *(("newt-no-demos", "1"), ("fast_td3", "1")),
        *(("newt-no-demos", "0"), ("fast_td3", "0")),
    ]
    assert {(row["score"], row["protocol"], row["commit"], row["mmbench"]) for row in rows} == {
        ("0.5", f"lite {LITE.version}", "abc", "0.1.0")
    }
    words = json.loads((tmp_path / "out" / "newt-no-demos-1" / "config.json").read_text())["words"]
    assert words[:6] == ["--preset", "lite", "--demos", "none", "--seed", "1"]

    lite(tmp_path / "out", "--methods", "newt-no-demos,fast_td3", "--seeds", "0,1")
    told = capsys.readouterr().out
    assert "4 of 4 runs are done already" in told and "begins" not in told
    main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "report")])
    assert "| fast_td3 | 0.500 |" in capsys.readouterr().out

    lite(tmp_path / "out", "--methods", "brc", "--seeds", "0")  # what was there stays in the table
    with (tmp_path / "out" / "runs.csv").open() as file:
        rows = [(row["method"], row["seed"]) for row in csv.DictReader(file)]
    assert rows[0] == ("brc", "0")
    assert sorted(rows[1:]) == [
        *(("fast_td3", "0"), ("fast_td3", "1")),
        *(("newt-no-demos", "0"), ("newt-no-demos", "1")),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere runs outlive a killed parent")
@pytest.mark.parametrize("signal_sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_comparison_goes_on(tmp_path, learners, capsys, signal_sent):
    out = tmp_path / "out"
    learners.touch()
    script = (
        "import mmbench.lite.jobs as jobs, mmbench.cli as cli; "
        f"jobs._program = lambda name: {str(tmp_path / 'bin')!r} + '/' + name; "
        f"cli.main(['lite', 'run', '--out', {str(out)!r}, '--methods', 'brc,fast_td3', "
        "'--seeds', '0'])"
    )
    with (tmp_path / "told").open("w") as told:
        process = subprocess.Popen([sys.executable, "-c", script], stdout=told)
    logs = [out / "logs" / f"{name}-0.txt" for name in ("brc", "fast_td3")]
    wait_for(lambda: all(log.is_file() and "learning" in log.read_text() for log in logs))
    process.send_signal(signal_sent)
    process.wait()
    if signal_sent == signal.SIGTERM:
        assert "the same command goes on" in (tmp_path / "told").read_text().splitlines()[-1]
    wait_for(lambda: not learners_alive(out))
    learners.unlink()
    lite(out, "--methods", "brc,fast_td3", "--seeds", "0")
    told = capsys.readouterr().out
    assert told.count("-0 goes on") == 2 and "all 2 runs done" in told


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "a guard against waiting for ever"
        time.sleep(0.02)


def learners_alive(out):
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if (
            os.fsencode(out) in words
            and b"-train" in words
            and int(entry.parent.name) != os.getpid()
        ):
            return True
    return False


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path, learners, capsys):
    with pytest.raises(SystemExit) as ended:
        lite(tmp_path / "out", "--methods", "ppo,brc", "--seeds", "0")
    told = capsys.readouterr().out
    assert ended.value.code == 1
    assert "ppo-0 failed (exit code 2):" in told and "the disk is full" in told
    assert "brc-0 is done" in told and "1 run failed: ppo-0." in told


def test_what_a_kill_left_before_the_run_began_makes_way(tmp_path, learners, capsys):
    left = tmp_path / "out" / "brc-0"
    left.mkdir(parents=True)
    (left / ".run.lock").touch()
    (left / ".config.json-0123abcd").touch()
    lite(tmp_path / "out", "--methods", "brc", "--seeds", "0")
    assert "all 1 run done" in capsys.readouterr().out


def test_a_trial_is_not_taken_for_the_run(tmp_path, learners, capsys):
    out, words = tmp_path / "out", ("--methods", "brc,newt", "--seeds", "0")
    trial = "--flags=--tasks pygame-cowboy --steps 600 --optimizer.lr 1e-4"
    lite(out, *words, trial)
    told = capsys.readouterr().out
    assert "minutes, not lite: tasks, steps, optimizer" in told
    # Finished or half-way, the real call and another trial refuse it, and the same one does not.
    for half_way in (False, True):
        if half_way:
            (out / "brc-0" / "eval.json").unlink()
        others = "tasks, steps, optimizer"
        assert f"brc-0 was begun with other {others}: choose" in refusal(capsys, out, *words)
        other = trial.replace("600", "700").replace("1e-4", "3e-4")
        expected = "brc-0 was begun with other steps, optimizer.lr: choose"
        assert expected in refusal(capsys, out, *words, other)
        assert "begun with other optimizer: choose" in refusal(
            capsys, out, *words, "--flags=--tasks pygame-cowboy --steps 600"
        )
        lite(out, *words, trial)
        told = capsys.readouterr().out
        assert "all 2 runs done" in told and "not lite: tasks, steps, optimizer" in told
        assert ("brc-0 goes on" in told) == half_way


def test_a_real_run_is_not_taken_for_a_trial(tmp_path, learners, capsys):
    out, words = tmp_path / "out", ("--methods", "newt", "--seeds", "0")
    lite(out, *words)
    assert "other steps: " in refusal(capsys, out, *words, "--flags=--steps 600")
    assert "other demos: " in refusal(capsys, out, *words, "--flags=--demos none")
    lite(out, *words, "--flags=--steps 200_000 --checkpoint-every=5 --wandb")  # changes nothing
    assert "done already" in capsys.readouterr().out


def test_flags_that_make_a_run_another_row_are_no_reason_to_refuse_it(tmp_path, learners, capsys):
    words = ("--methods", "newt", "--seeds", "0", "--flags=--demos none")
    lite(tmp_path / "out", *words)
    lite(tmp_path / "out", *words)
    assert "1 of 1 runs are done already" in capsys.readouterr().out
    assert "other demos: " in refusal(capsys, tmp_path / "out", *words[:4])


def test_a_run_of_another_seed_or_method_is_refused(tmp_path, learners, capsys):
    out = tmp_path / "out"
    lite(out, "--methods", "brc", "--seeds", "5")
    (out / "brc-5").rename(out / "brc-0")
    expected = "brc-0 is a run with seed 5: choose another --out"
    assert expected in refusal(capsys, out, "--methods", "brc", "--seeds", "0")
    (out / "brc-0").rename(out / "ppo-5")
    expected = "ppo-5 is a run of 'brc': choose another --out"
    assert expected in refusal(capsys, out, "--methods", "ppo", "--seeds", "5")


def test_a_run_that_was_made_longer_is_not_done(tmp_path, learners, capsys):
    out, words = tmp_path / "out", ("--methods", "brc", "--seeds", "0", "--flags=--steps 900")
    lite(out, *words[:4], "--flags=--steps 600")
    path = out / "brc-0" / "config.json"
    path.write_text(path.read_text().replace("600", "900"))  # as --resume --steps 900 does
    capsys.readouterr()
    lite(out, *words)
    told = capsys.readouterr().out
    assert "already" not in told and "brc-0 goes on" in told and "all 1 run done" in told


def refusal(capsys, out, *words):
    """What a call says that begins nothing."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        lite(out, *words)
    told = capsys.readouterr()
    assert ended.value.code == 2 and not told.out
    return told.err


@pytest.mark.parametrize("left", ["notes.txt", ".env", ".config.json-old"])
def test_what_is_not_a_run_is_refused_before_anything_begins(tmp_path, learners, capsys, left):
    strange = tmp_path / "out" / "bc-0"
    strange.mkdir(parents=True)
    (strange / left).write_text("mine")
    told = refusal(capsys, tmp_path / "out", "--methods", "brc,bc", "--seeds", "0")
    assert "bc-0 is not the folder of a run: choose another --out" in told
    assert (strange / left).read_text() == "mine" and not (tmp_path / "out" / "brc-0").exists()


def test_a_damaged_run_is_told_before_anything_begins(tmp_path, learners, capsys):
    out = tmp_path / "out"
    lite(out, "--methods", "brc", "--seeds", "0")
    (out / "brc-0" / "eval.json").write_text("{")
    told = refusal(capsys, out, "--methods", "fast_td3,brc", "--seeds", "0")
    assert "brc-0/eval.json is damaged: " in told and "brc-0 away, or choose another --out" in told


def test_what_others_keep_in_the_folder_stops_nothing(tmp_path, learners, capsys):
    out = tmp_path / "out"
    lite(out, "--methods", "brc,fast_td3", "--seeds", "0")
    (out / "brc-0").rename(out / "zz-0")
    (out / "zz-0" / "metrics.csv").unlink()
    (out / "zz-0" / "metrics.csv").mkdir()
    lite(out, "--methods", "brc", "--seeds", "0")
    assert "all 1 run done" in capsys.readouterr().out
    with (out / "runs.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)] == ["brc", "fast_td3"]


def test_a_run_that_cannot_start_or_be_read_fails_alone(tmp_path, learners, capsys):
    out = tmp_path / "out"
    (out / "logs" / "brc-0.txt").mkdir(parents=True)
    program = tmp_path / "bin" / "baselines-train"
    damage = '\nif method == "tdmpc2": open(os.path.join(folder, "eval.json"), "w").write("{")\n'
    program.write_text(program.read_text() + damage)
    with pytest.raises(SystemExit) as ended:
        lite(out, "--methods", "brc,tdmpc2,fast_td3", "--seeds", "0", "--workers", "3")
    told = capsys.readouterr().out
    assert ended.value.code == 1
    assert "brc-0 failed: a folder is where a file should be" in told
    assert "eval.json is damaged" in told and "fast_td3-0 is done" in told
    assert "2 runs failed: brc-0, tdmpc2-0." in told


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["--methods", "sac"], "unknown method 'sac': one of newt, "),
        (["--seeds", "0,x"], "--seeds: 'x' is no number from 0 to 4294967295"),
        (["--seeds", "0,4294967296"], "--seeds: '4294967296' is no number from 0 to 4294967295"),
        (["--seeds", "9" * 5000], "9' is no number from 0 to 4294967295"),
        (["--workers", "0"], "--workers 0: at least 1"),
        (["--flags", "'"], '--flags "\'": No closing quotation'),
        (["--flags=--seed 5"], "--flags '--seed 5': --seed is not for --flags; leave it out"),
        (["--flags=--steps 9 --out=x"], "--out is not for --flags; leave it out"),
        (["--flags=--help"], "--help is not for --flags; leave it out"),
    ],
)
def test_bad_input_is_one_message(tmp_path, capsys, words, complaint):
    assert complaint in refusal(capsys, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "out, complaint",
    [
        ("~no-such-user/x", "--out '~no-such-user/x': "),
        ("/dev/null/x", "--out /dev/null/x: no folder can be made there (Not a directory)"),
        ("a\udcff", "--out 'a\\udcff': "),
        ("", "--out '': name a folder"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_message(tmp_path, monkeypatch, capsys, out, complaint):
    monkeypatch.chdir(tmp_path)
    assert complaint in refusal(capsys, out, "--methods", "ppo", "--seeds", "0")
    assert not list(tmp_path.iterdir())


def test_an_absent_package_is_one_message(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mmbench.lite.jobs.entry_points", lambda group: [])
    with pytest.raises(SystemExit):
        lite(tmp_path / "out", "--methods", "ppo,brc")
    error = capsys.readouterr().err
    assert "not installed: ppo, brc. They come with" in error
    assert "pip install mmbench-baselines" in error


def test_runs_of_another_version_are_not_mixed_in(tmp_path, learners, capsys, monkeypatch):
    lite(tmp_path / "out", "--methods", "brc", "--seeds", "0")
    path = tmp_path / "out" / "brc-0" / "config.json"
    config = json.loads(path.read_text())
    config["protocol"]["version"] = LITE.version + 1
    path.write_text(json.dumps(config))
    with pytest.raises(SystemExit):
        lite(tmp_path / "out", "--methods", "brc", "--seeds", "0")
    expected = f"is lite {LITE.version + 1}, and this is lite {LITE.version}: choose another --out"
    assert expected in capsys.readouterr().err


def test_the_protocol_can_be_read(capsys):
    main(["lite", "show"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["version"] == LITE.version and len(shown["tasks"]) == 20
    assert set(shown["settings"]) == {entrant.method for entrant in LITE.entrants.values()}
