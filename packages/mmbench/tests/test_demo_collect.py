"""Collecting demonstrations: the same episodes by any number of processes, and after any end."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from demo_experts import Still
from demo_tapes import TASK

from mmbench.demos import experts
from mmbench.demos.collect import Plan, collect
from mmbench.demos.collection import attempt_seed
from mmbench.demos.experts import NoExpertError, expert_for, load_expert
from mmbench.demos.places import collecting_folder, root_tape
from mmbench.demos.recording import record
from mmbench.demos.tape import read_tape, to_bytes
from mmbench.env import TaskEnv
from mmbench.runs import RunError
from mmbench.runs.lock import FolderLock

GOOD, MOODY = "demo_experts:Balance", "demo_experts:Moody"


def run(root, expert=GOOD, workers=0, show=lambda *_: None, **plan):
    return list(collect({TASK: expert}, Plan(root, **{"episodes": 3, **plan}), workers, show))


def collected(root):
    return read_tape(root_tape(TASK, root), TASK)


def content(root):
    """All that is on the tape, but for the command, which names the expert's class."""
    tape = collected(root)
    recordings = tuple(replace(recording, command="") for recording in tape.recordings)
    return to_bytes(replace(tape, recordings=recordings))


def in_progress(root):
    return read_tape(collecting_folder(TASK, root) / "tape.npz", TASK)


def test_a_tape_says_who_played_what(tmp_path):
    (outcome,) = run(tmp_path)
    assert outcome.good and "3 episodes of 3 played, score 0.99" in outcome.text
    tape = collected(tmp_path)
    (recording,) = tape.recordings
    assert (recording.episodes, recording.attempts, recording.expert) == (3, 3, "linear controller")
    chosen = f"--tasks {TASK.name} --episodes 3 --seed 0 --expert {GOOD}"
    assert recording.command == f"mmbench demos collect {chosen}"
    assert recording.versions.keys() >= {"mmbench", "numpy", "miniarcade"}
    assert recording.processor and tape.licence == "MIT"
    assert [e.seed for e in tape.episodes] == [attempt_seed(TASK, 0, i) for i in range(3)]
    assert min(e.score for e in tape.episodes) > 0.9
    assert not (collecting_folder(TASK, tmp_path) / "tape.npz").exists()


def test_processes_collect_the_same_episodes(tmp_path):
    for workers in (0, 3):
        (outcome,) = run(
            tmp_path / str(workers), "demo_experts:Unsteady", workers, episodes=4, seed=5
        )
        assert outcome.good and "4 episodes of 6 played" in outcome.text  # two were refused
    one, other = (root_tape(TASK, tmp_path / n).read_bytes() for n in ("0", "3"))
    assert one == other


def test_more_episodes_are_added_to_what_is_there(tmp_path):
    run(tmp_path, MOODY, episodes=2)
    (outcome,) = run(tmp_path, MOODY, episodes=2)
    assert outcome.good and "it has 2 episodes already" in outcome.text
    before = collected(tmp_path)
    run(tmp_path, MOODY, episodes=4)
    after = collected(tmp_path)
    assert [e.seed for e in after.episodes[:2]] == [e.seed for e in before.episodes]
    assert len({e.seed for e in after.episodes}) == 4
    assert [r.episodes for r in after.recordings] == [2, 2]


def test_overwriting_leaves_the_old_ones_until_the_new_are_complete(tmp_path):
    run(tmp_path)
    old = collected(tmp_path)

    def stop(task, chosen, played):
        if played == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, seed=1, overwrite=True, show=stop)
    assert collected(tmp_path).recordings == old.recordings
    run(tmp_path, seed=1)  # goes on with the new ones
    assert {e.seed for e in old.episodes}.isdisjoint(e.seed for e in collected(tmp_path).episodes)


def test_who_wants_fewer_than_were_begun_loses_nothing(tmp_path):
    def stop(task, chosen, played):
        if played == 5:
            raise KeyboardInterrupt

    run(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, episodes=9, show=stop)
    (outcome,) = run(tmp_path, episodes=2)
    assert outcome.good and "it has 3 episodes already" in outcome.text
    assert len(collected(tmp_path).episodes) == 3
    root_tape(TASK, tmp_path).unlink()
    (outcome,) = run(tmp_path, episodes=2)
    assert outcome.good and "5 episodes of 5 played" in outcome.text
    run(tmp_path, episodes=9)
    numbers = [attempt_seed(TASK, 0, i) for i in range(9)]
    assert [e.seed for e in collected(tmp_path).episodes] == numbers


def test_an_interrupted_collection_goes_on(tmp_path):
    run(tmp_path / "whole", MOODY)

    def stop(task, chosen, played):
        if played == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", MOODY, show=stop)
    assert in_progress(tmp_path / "cut").recordings[0].attempts == 2
    run(tmp_path / "cut", MOODY)
    seeds = [[e.seed for e in collected(tmp_path / n).episodes] for n in ("whole", "cut")]
    assert seeds[0] == seeds[1]


def test_what_misses_the_bars_is_no_tape(tmp_path):
    (outcome,) = run(tmp_path, "demo_experts:Still")
    assert not outcome.good and "the mean score 0.0" in outcome.text
    assert not root_tape(TASK, tmp_path).exists()
    assert len(in_progress(tmp_path).episodes) == 3
    (outcome,) = run(tmp_path, seed=1)
    assert not outcome.good and "of 3 played" in outcome.text and "--overwrite" in outcome.text
    run(tmp_path, episodes=8)  # those before are below the others' median
    assert collected(tmp_path).experts == "linear controller"


def test_an_expert_that_fails_ends_its_task_with_the_reason(tmp_path):
    (outcome,) = run(tmp_path, "demo_experts:Raising", attempts=2)
    assert not outcome.good
    for words in ("only 0 good episodes of 6", "ArithmeticError: no plan was found", "--attempts"):
        assert words in outcome.text
    (outcome,) = run(tmp_path, "demo_experts:Careless", attempts=1)
    assert "which are no episode" in outcome.text


def test_an_expert_that_kills_its_process_ends_its_task_only(tmp_path):
    (outcome,) = run(tmp_path, "demo_experts:Dying", workers=1, episodes=1, attempts=1)
    assert not outcome.good and "its process was killed by SIGKILL" in outcome.text


def test_what_a_worker_takes_with_it_is_played_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it says that it has died
    run(tmp_path / "alone", MOODY)
    run(tmp_path / "shot", "demo_experts:Mortal", workers=1)
    assert Path("died").exists()
    assert content(tmp_path / "alone") == content(tmp_path / "shot")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_end_loses_one_episode_a_worker_and_a_second_call_goes_on(tmp_path, end, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "whole", MOODY, episodes=8)
    words = f"collect --tasks {TASK.name} --expert demo_experts:Told --episodes 8 --workers 2"
    first = command(words, tmp_path)
    played = tmp_path / "played"
    wait_for(lambda: played.exists() and len(played.read_text().split()) >= 4)
    first.send_signal(end)
    _, err = first.communicate(timeout=120)
    if end == signal.SIGINT:
        assert first.returncode == 130 and "interrupted; the same command goes on" in err
    assert not root_tape(TASK, tmp_path).exists()
    run(tmp_path, "demo_experts:Told", episodes=8)
    told = played.read_text().split()
    assert len(told) - len(set(told)) <= 1  # the other worker's was held
    assert content(tmp_path / "whole") == content(tmp_path)
    assert [path.name for path in collecting_folder(TASK, tmp_path).iterdir()] == [".run.lock"]


def test_an_expert_that_hangs_ends_its_task_with_its_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it says that it has begun
    begun = time.monotonic()
    (outcome,) = run(tmp_path, "demo_experts:Hanging", workers=2, time_limit=1.0)
    assert time.monotonic() - begun < 120
    assert not outcome.good
    assert "nobody did not finish an episode within 1 s, and was ended" in outcome.text
    assert "--time-limit" in outcome.text


def test_a_damaged_tape_ends_its_task_and_can_be_overwritten(tmp_path):
    path = root_tape(TASK, tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"nothing")
    (outcome,) = run(tmp_path)
    assert not outcome.good and f"{path} is no tape" in outcome.text
    assert outcome.text.endswith("--overwrite begins anew") and path.read_bytes() == b"nothing"
    (outcome,) = run(tmp_path, overwrite=True)
    assert outcome.good and len(collected(tmp_path).episodes) == 3


def test_a_task_that_another_collects_is_left_to_it(tmp_path):
    folder = collecting_folder(TASK, tmp_path)
    folder.mkdir(parents=True)
    other = FolderLock(folder)
    (outcome,) = run(tmp_path)
    assert outcome.good and f"in use by process {os.getpid()}" in outcome.text
    other.close()
    (outcome,) = run(tmp_path)
    assert "3 episodes" in outcome.text


def command(words, folder):
    """Starts ``mmbench demos`` in a folder, which is its root too."""
    script = "import sys\nfrom mmbench.cli import main\nmain(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", script, "demos", *words.split(), "--root", "."],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal: a shell lets its background commands ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_two_collectors_share_a_folder(tmp_path):
    words = f"collect --tasks {TASK.name} --expert {GOOD} --episodes 10 --workers 1"
    collectors = [command(words, tmp_path) for _ in range(2)]
    assert [collector.wait(300) for collector in collectors] == [0, 0]
    assert len(collected(tmp_path).episodes) == 10
    assert not list(tmp_path.rglob(".tape*")) + list(tmp_path.rglob(f".{TASK.name}*"))


KILLED = """
import io, os, signal, sys
from pathlib import Path
from mmbench import catalog
from mmbench.demos.collect import Plan, collect
from mmbench.demos import collection as collecting
from mmbench.demos.tape import read_tape, to_bytes, write_tape
CHANGES = {"open", "write", "flush", "fsync", "close", "replace", "mkdir", "unlink", "rename"}
task, root = catalog.get(sys.argv[1]), Path(sys.argv[2])
def run(**plan):
    return list(collect({task: "demo_experts:Balance"}, Plan(root, 1, **plan), 0))
run()
tape = root / "tapes" / f"{task.name}.npz"
old, point, found = tape.read_bytes(), 0, set()
while True:
    point += 1
    child = os.fork()
    if not child:
        left = point
        def count(frame, event, function):
            global left
            if event == "c_call" and function.__name__ in CHANGES:
                left -= not isinstance(function.__self__, io.BytesIO)
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        def write_counting(*arguments):
            sys.setprofile(count)
            write_tape(*arguments)
        collecting.write_tape = write_counting
        run(seed=1, overwrite=True)
        os._exit(0)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    read_tape(tape, task)
    new = tape.read_bytes() != old
    found.add("new" if new else "old")
    for state in root.glob("collecting/*/tape.npz"):
        read_tape(state, task)
    if not killed:
        break
    run(seed=1)
    tape.write_bytes(old)
print(point, *sorted(found), *(path.name for path in root.rglob(".[a-z]*-*")))
"""


def test_a_collection_killed_at_any_moment_leaves_the_old_tape_or_the_new_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, TASK.name, tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    points, *found = done.stdout.split()
    assert int(points) > 10 and found == ["new", "old"]


def test_workers_end_with_a_collector_that_is_killed(tmp_path):
    script = (
        "from pathlib import Path\nfrom mmbench import catalog\n"
        "from mmbench.demos.collect import Plan, collect\n"
        f"experts = {{catalog.get({TASK.name!r}): 'demo_experts:Hanging'}}\n"
        "list(collect(experts, Plan(Path('root'), 1), 1))\n"
    )
    collector = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    wait_for((tmp_path / "busy").exists)
    (worker,) = Path(f"/proc/{collector.pid}/task/{collector.pid}/children").read_text().split()
    collector.kill()
    collector.wait()
    wait_for(lambda: not Path("/proc", worker).exists())


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_tape_holds_what_the_actions_alone_lead_to():
    own, env = TaskEnv(TASK, unify=False), TaskEnv(TASK, unify=False)
    episode = record(load_expert("demo_experts:Cheat")(), own, env, 7, np.random.default_rng(0))
    env.reset(seed=7)
    total = 0.0
    for action in episode.actions:
        _, reward, _, _, info = env.step(action)
        total += reward
    assert (episode.episode_return, episode.score) == (total, info["score"])
    assert episode.actions.dtype == np.float16 and own.get_state()["env/return"] > total


def test_experts_are_found_by_task_or_by_name(monkeypatch):
    monkeypatch.setattr(experts, "TABLE", (("pygame-*", "maze:Path"),))
    assert load_expert(GOOD).name == "linear controller"
    with pytest.raises(NoExpertError, match="no expert plays 'walker-walk'.*play no task"):
        expert_for("walker-walk")
    monkeypatch.setattr(experts, "TABLE", (("*-pong", "maze:Path"), ("walker-*", "maze:Path")))
    with pytest.raises(NoExpertError, match="of miniarcade, experts play pygame-pong$"):
        expert_for("pygame-cowboy")
    for name in ("demo_experts", "demo_experts:np", "demo_experts:Nobody"):
        with pytest.raises(NoExpertError, match="MODULE:CLASS"):
            load_expert(name)
    for name in ("demo_experts:Expert", "demo_experts:Numbered"):
        with pytest.raises(NoExpertError, match="needs a name"):
            load_expert(name)
    with pytest.raises(NoExpertError, match="it lacks act, begin"):
        load_expert("demo_experts:Begun")


@pytest.mark.parametrize("action", [None, "left", [0.5j], [np.inf], [np.nan], [0.0, 0.0], 0.0])
def test_what_is_no_action_is_told_with_the_expert_s_name(tmp_path, action, monkeypatch):
    monkeypatch.setattr(Still, "act", lambda self, obs: action)
    (outcome,) = run(tmp_path, "demo_experts:Still", attempts=1)
    assert not outcome.good
    assert f"Still.act returned {action!r}" in outcome.text and "1 finite numbers" in outcome.text


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    with pytest.raises(RunError, match=r"cannot be made.*another --root"):
        run(Path("/proc/nothing"))
