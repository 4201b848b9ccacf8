"""``mmbench doctor`` on machines that lack something, or have something that does not work.

What is broken is a stub in front of the real package, so that the processes are real ones. An
environment that really lacks the extras is in ``tests/test_packages.py``.
"""

import dataclasses
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doctor_stubs import QUICK

from mmbench import catalog
from mmbench.doctor import Package, Report, examination
from mmbench.doctor.jobs import Job, run

COMMAND = Path(sys.executable).with_name("mmbench")
LIGHT = "pygame-pong"
CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"


class Machine:
    """Runs ``mmbench doctor`` with stubs in front of the real packages."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.variables = {**os.environ, "PYTHONPATH": str(folder)}
        self.stub(**QUICK)

    def stub(self, **sources):
        for name, source in sources.items():
            (self.folder / f"{name}.py").write_text(source)

    def version(self, name, number):
        info = self.folder / f"{name.replace('-', '_')}-{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")

    def doctor(self, *args, cwd=None):
        return subprocess.run(
            [COMMAND, "doctor", *args],
            capture_output=True,
            text=True,
            timeout=300,
            env=self.variables,
            cwd=cwd,
        )

    def report(self, *args, **options):
        """The exit code, the JSON, and its rows by name."""
        done = self.doctor("--json", *args, **options)
        assert done.stderr == ""
        content = json.loads(done.stdout)
        rows = {row["domain"]: row for row in content["domains"]}
        rows |= {row["name"]: row for row in content["renderers"]}
        return done.returncode, content, rows


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "stubs")


def test_a_healthy_domain_works_whatever_lies_in_the_current_folder(machine, tmp_path):
    (tmp_path / "mujoco.py").write_text("raise ImportError('not this one')")
    code, content, rows = machine.report("--tasks", f"walker-walk,walker-run,{LIGHT}", cwd=tmp_path)
    assert code == 0
    assert content["ok"] is True
    assert list(content) == [field.name for field in dataclasses.fields(Report)]
    assert [row["domain"] for row in content["domains"]] == ["dmcontrol", "miniarcade"]
    assert [row["name"] for row in content["renderers"]] == ["EGL", "OSMesa"]
    row = rows["dmcontrol"]
    assert (row["status"], row["tasks"], row["runnable"]) == ("works", 2, 2)
    assert row["tried"] == "walker-walk"
    assert row["problems"] == []
    assert row["packages"][0]["name"] == "dm-control"
    assert row["packages"][0]["in_range"] is True
    assert content["machine"]["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}")
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["memory"] > 2**28


def test_the_table_says_the_same(machine):
    machine.stub(metaworld="raise ImportError('no luck [today]')")
    done = machine.doctor("--tasks", f"mw-reach,{LIGHT}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert any(line.startswith("metaworld metaworld") for line in lines)
    assert any(line.startswith("miniarcade") and line.endswith("1 of 1 works") for line in lines)
    assert any("no luck [today]" in line for line in lines)
    assert "1 of 2 tasks can run here." in lines
    assert any(line.startswith("EGL") for line in lines)
    assert not any("Vulkan" in line for line in lines), "neither task is drawn by it"


def test_a_simulator_that_cannot_be_imported_or_crashes_is_a_row(machine):
    machine.stub(
        metaworld="raise ImportError('libGL.so.1: cannot open shared object file')",
        ale_py="print(7, flush=True)\n" + CRASH,
        dm_control="raise RuntimeError('operator does not exist')",
    )
    tasks = f"mw-reach,mw-push,atari-pong,walker-walk,{LIGHT}"
    code, content, rows = machine.report("--tasks", tasks)
    assert code == 1 and content["ok"] is False
    (problem,) = rows["metaworld"]["problems"]
    assert (rows["metaworld"]["status"], rows["metaworld"]["runnable"]) == ("fails", 0)
    assert "libGL.so.1" in problem["reason"]
    assert problem["fix"] == "apt-get install libgl1"
    assert problem["tasks"] == ["mw-reach", "mw-push"]
    (problem,) = rows["atari"]["problems"]
    assert rows["atari"]["status"] == "fails"
    assert problem["reason"] == "crashed with SIGSEGV (while importing the simulator)"
    assert "Segmentation fault" in problem["log"]
    (problem,) = rows["dmcontrol"]["problems"]
    assert rows["dmcontrol"]["status"] == "fails"
    assert "RuntimeError: operator does not exist" in problem["reason"]
    assert rows["miniarcade"]["status"] == "works"


def test_a_version_outside_the_tested_range_is_told(machine):
    number = "0.11.2"
    machine.version("ale-py", number)
    code, content, rows = machine.report("--tasks", f"atari-pong,{LIGHT}")
    row = rows["atari"]
    assert code == 0 and content["ok"] is True  # it runs
    assert row["status"] == "untested"
    assert row["runnable"] == 1
    assert row["packages"][0]["installed"] == number
    assert row["packages"][0]["in_range"] is False
    (problem,) = row["problems"]
    assert number in problem["reason"] and row["packages"][0]["tested"] in problem["reason"]
    assert problem["fix"] == "pip install 'mmbench[atari]'"
    assert rows["miniarcade"]["status"] == "works"


def test_a_missing_asset_is_told_with_its_command(machine, tmp_path):
    machine.variables["MS_ASSET_DIR"] = str(tmp_path)
    code, _, rows = machine.report("--tasks", "ms-pick-apple,ms-pick-banana")
    row = rows["maniskill"]
    assert code == 1
    assert (row["status"], row["runnable"], row["tasks"]) == ("missing", 0, 2)
    (problem,) = row["problems"]
    if row["packages"][0]["installed"]:
        assert "asset ycb" in problem["reason"]
        assert problem["fix"] == "mmbench assets download --tasks ms-pick-apple"
    assert problem["tasks"] == ["ms-pick-apple", "ms-pick-banana"]


NO_EGL = """
import ctypes
real = ctypes.CDLL.__init__
def refuse(self, name, *args, **kwargs):
    if name and "EGL" in str(name):
        raise OSError(f"{name}: cannot open shared object file")
    real(self, name, *args, **kwargs)
ctypes.CDLL.__init__ = refuse
"""


def test_renderers_that_are_missing_or_crash_are_rows(machine):
    machine.stub(sitecustomize=NO_EGL, sapien=CRASH)
    _, _, rows = machine.report("--tasks", "walker-walk,ms-pick-cube")
    assert rows["dmcontrol"]["status"] == "works"  # no task needs one for its state
    assert rows["OSMesa"]["status"] in ("missing", "fails")  # without PyOpenGL
    assert rows["EGL"]["status"] == "missing"
    assert "apt-get install libegl1" in rows["EGL"]["problem"]["fix"]
    assert rows["Vulkan"]["status"] == "fails"
    assert rows["Vulkan"]["problem"]["reason"] == "crashed with SIGSEGV (while importing sapien)"


def test_a_renderer_that_works_names_its_device():
    outcomes = {job.name: outcome for job, outcome in run(JOBS)}
    rows = [examination._renderer(name, outcome) for name, outcome in outcomes.items()]
    working = [row for row in rows if row.status == "works"]
    if not working:
        pytest.skip(f"no renderer here: {[row.problem for row in rows]}")
    assert all(row.device and row.problem is None for row in working)


JOBS = [job for job, _, _ in examination._RENDERERS.values()]
HANG = """
import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "300"])
pathlib.Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {child.pid}")
time.sleep(300)
"""


PONG = Job("pong", ("tasks", "", LIGHT), 100)


def wait_for(pids, within=60):
    until = time.monotonic() + within
    while not (pids.exists() and " " in pids.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)


def check_gone(pids, within=30):
    wait_for(pids)
    until = time.monotonic() + within
    while not all(map(gone, pids.read_text().split())):
        assert time.monotonic() < until
        time.sleep(0.05)


def gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"  # dead, and its parent has not noticed


@pytest.fixture
def hanging(machine, tmp_path, monkeypatch):
    """Lets the Vulkan probe hang; returns the file with the processes that do."""
    machine.stub(sapien=HANG)
    monkeypatch.setenv("PYTHONPATH", str(machine.folder))
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    return tmp_path / "pids"


def test_a_driver_that_hangs_is_ended_with_what_it_started(hanging):
    start = time.monotonic()
    jobs = [Job("Vulkan", ("vulkan",), 8), PONG]
    outcomes = {job.name: outcome for job, outcome in run(jobs)}
    assert time.monotonic() - start < 30
    assert outcomes["Vulkan"].failure == "no answer within 8 s (while importing sapien)"
    assert outcomes["pong"].failure == "" and outcomes["pong"].said["tried"] == LIGHT
    row = examination._renderer("Vulkan", outcomes["Vulkan"])
    assert row.status == "slow" and "no answer" in row.problem.reason
    check_gone(hanging)


def test_stopping_early_ends_the_rest(hanging):
    running = run([PONG, Job("hang", ("vulkan",), 100)])
    next(running)
    wait_for(hanging)
    running.close()
    check_gone(hanging)


def test_a_simulator_that_is_slow_does_not_fail(machine):
    """Its time is that of its domain, or what --timeout gives to each."""
    machine.stub(metaworld="import time\ntime.sleep(300)")
    code, content, rows = machine.report("--tasks", "mw-reach", "--timeout", "2")
    row = rows["metaworld"]
    assert code == 1 and content["ok"] is False
    assert (row["status"], row["runnable"]) == ("slow", 0)
    (problem,) = row["problems"]
    assert problem["reason"].startswith("no answer within 2 s")
    assert problem["fix"] == "mmbench doctor --tasks metaworld --timeout 10"
    seconds = {domain.name: domain.doctor_seconds for domain in catalog.domains()}
    assert seconds["maniskill"] > seconds["metaworld"] >= 30


def test_progress_is_shown_on_a_terminal_and_kept_out_of_the_report(machine):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "doctor", "--json", "--tasks", LIGHT],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=machine.variables | {"TERM": "xterm"},
    )
    os.close(follower)
    shown = b""
    while chunk := _read(leader):
        shown += chunk
    content = json.loads(process.stdout.read())
    assert process.wait(60) == 0
    assert content["ok"] is True
    # Which of the parts a refresh catches is a matter of timing.
    assert b"examining" in shown and b" done" in shown and b"/2" in shown


def _read(fd):
    try:
        return os.read(fd, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--tasks", "walker-wlak"], ["walker-wlak", "walker-walk"]),
        (["--timeout", "0"], ["--timeout", "above 0"]),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(machine, args, parts):
    done = machine.doctor(*args)
    assert done.returncode == 2
    assert done.stdout == "" and "Traceback" not in done.stderr
    assert all(part in done.stderr for part in parts)


def test_a_python_without_the_simulator_is_told():
    task = catalog.get("ms-pick-cube")
    missing = Package("mani-skill", None, ">=3", None, "maniskill", "<3.13", False)
    (problem,) = examination._reasons([task], {task.name: "no module"}, missing)
    assert problem.reason == "mani-skill is for Python <3.13 only"
    assert problem.fix == "with Python <3.13: pip install 'mmbench[maniskill]'"
    assert problem.tasks == ("ms-pick-cube",)


def test_examining_imports_no_simulator(machine):
    script = (
        "import sys\n"
        "from mmbench import catalog\n"
        "from mmbench.doctor import examine\n"
        f"assert examine(catalog.select('{LIGHT}')).ok\n"
        "heavy = {'mujoco', 'pygame', 'torch', 'sapien', 'OpenGL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=machine.variables
    )
    assert done.stdout.strip() == "[]", done.stderr
