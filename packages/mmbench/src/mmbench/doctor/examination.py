"""The examination: which probes to run, and what their outcomes mean."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import mmbench
from mmbench import catalog
from mmbench.assets import missing_assets
from mmbench.catalog import BENCHMARK, TASKS, Task
from mmbench.doctor import packages
from mmbench.doctor.jobs import Job, Outcome, run
from mmbench.doctor.report import DomainReport, Machine, Package, Problem, Renderer, Report
from mmbench.shell import command

_SECONDS = 60.0
"""How long a driver may take to draw a frame, and PyTorch to look for GPUs."""

_RENDERERS = {
    "EGL": (
        Job("EGL", ("opengl", "egl"), _SECONDS),
        "MuJoCo scenes",
        "apt-get install libegl1 libgl1 libgles2",
    ),
    "OSMesa": (
        Job("OSMesa", ("opengl", "osmesa"), _SECONDS),
        "MuJoCo scenes, where EGL does not",
        "apt-get install libosmesa6",
    ),
    "Vulkan": (
        Job("Vulkan", ("vulkan",), _SECONDS),
        "ManiSkill scenes",
        "apt-get install libvulkan1 and the GPU's driver, or mesa-vulkan-drivers (24.3 or later) "
        "to draw on the CPU",
    ),
}
_DRAWS_FOR = {"EGL": "mujoco", "OSMesa": "mujoco", "Vulkan": "sapien"}
"""The package whose scenes each of them draws."""

_SLOWEST_FIRST = ("maniskill", "Vulkan", "torch", "metaworld")

_KNOWN_FIXES = {
    "libGL.so": "apt-get install libgl1",
    "libX11.so": "apt-get install libx11-6",
    "libEGL.so": "apt-get install libegl1",
    # What importing mujoco says where the variable names a library that is not there.
    "'eglQueryString'": "unset MUJOCO_GL",
    "'glGetError'": "unset MUJOCO_GL",
}
"""What helps, by a part of the message."""


def examine(
    tasks: Iterable[Task] | None = None,
    seconds: float | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Finds out what can run on this machine.

    Args:
        tasks: The tasks to ask for, by default all 228 and those from outside.
        seconds: Time for each simulator and driver, by default as its domain states; about 30 s
            are enough for everything on an idle machine.
        on_progress: Called with the name of what was just tried, how many were, and of how many.

    Returns:
        The report.
    """
    start = time.monotonic()
    if tasks is None:
        tasks = (task for task in (*TASKS, *catalog.outside()) if task.version == 0)
    asked: dict[str, list[Task]] = {domain.name: [] for domain in catalog.domains()}
    for task in tasks:
        asked[task.domain].append(task)
    asked = {domain: group for domain, group in asked.items() if group}

    modules = ",".join(catalog.imported())
    jobs = [
        Job(
            name,
            ("tasks", modules, *(task.versioned_name for task in group)),
            catalog.domain(name).doctor_seconds,
        )
        for name, group in asked.items()
    ]
    stated = [line for name in asked for line in catalog.domain(name).packages]
    simulators = {packages.parse(line).name for line in stated}
    renderers = [name for name, package in _DRAWS_FOR.items() if package in simulators]
    jobs += [_RENDERERS[name][0] for name in renderers]
    if importlib.util.find_spec("torch") is not None:
        jobs.append(Job("torch", ("torch",), _SECONDS))
    if seconds is not None:
        jobs = [dataclasses.replace(job, seconds=seconds) for job in jobs]
    jobs.sort(key=lambda job: job.name not in _SLOWEST_FIRST)
    outcomes: dict[str, Outcome] = {}
    for job, outcome in run(jobs):
        outcomes[job.name] = outcome
        if on_progress is not None:
            on_progress(job.name, len(outcomes), len(jobs))

    known = packages.requirements()
    domains = tuple(_domain(name, group, outcomes[name], known) for name, group in asked.items())
    listed = {name for domain in BENCHMARK for name in domain.packages}
    return Report(
        ok=all(domain.runnable == domain.tasks for domain in domains),
        mmbench=mmbench.__version__,
        machine=_machine(outcomes.get("torch")),
        domains=domains,
        renderers=tuple(_renderer(name, outcomes[name]) for name in renderers),
        others=tuple(packages.package(name, known) for name in known if name not in listed),
        seconds=round(time.monotonic() - start, 1),
    )


def _domain(
    name: str, tasks: Sequence[Task], outcome: Outcome, known: dict[str, packages.Requirement]
) -> DomainReport:
    domain = catalog.domain(name)
    group = packages.of_domain(domain, known)
    first = group[0]
    problems = [
        Problem(
            f"{each.name} {each.installed} is outside the tested range {each.tested}",
            packages.install_command(each, known),
        )
        for each in group
        if each.in_range is False
    ]
    unavailable: dict[str, str] = outcome.said.get("unavailable", {})
    able = [task for task in tasks if task.versioned_name not in unavailable]
    if outcome.failure:
        # The one task that was tried failed, and nothing is known of the others.
        names = tuple(task.versioned_name for task in able)
        fix = _known_fix(outcome.failure) or (domain.install if first.installed is None else "")
        if outcome.slow:
            fix = _more_time(outcome, "--tasks", name)
        problems.append(Problem(outcome.failure, fix, names, outcome.log))
        able = []
    problems += _reasons(tasks, unavailable, first)
    if len(able) == len(tasks):
        status = "works" if all(each.in_range is not False for each in group) else "untested"
    elif able:
        status = "partial"
    elif outcome.slow:
        status = "slow"
    else:
        lacking = first.installed is None or all(map(missing_assets, tasks))
        status = "missing" if lacking else "fails"
    return DomainReport(
        domain=name,
        status=status,
        packages=group,
        tasks=len(tasks),
        runnable=len(able),
        tried=outcome.said.get("tried"),
        seconds=round(outcome.seconds, 1),
        problems=tuple(problems),
    )


def _reasons(
    tasks: Sequence[Task], unavailable: dict[str, str], simulator: Package
) -> list[Problem]:
    """Why tasks cannot run, those with the same reason together."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        if task.versioned_name in unavailable:
            reason = _reason(task, unavailable[task.versioned_name], simulator)
            groups.setdefault(reason, []).append(task)
    return [
        Problem(
            reason, _fix(group[0], reason, simulator), tuple(task.versioned_name for task in group)
        )
        for reason, group in groups.items()
    ]


def _reason(task: Task, told: str, simulator: Package) -> str:
    if simulator.installed is None and not simulator.for_this_python:
        return f"{simulator.name} is for Python {simulator.python} only"
    if simulator.installed is None:
        return f"{simulator.name} is not installed"
    assets = missing_assets(task)
    return f"the asset {' and '.join(assets)} is not on this machine" if assets else told


def _fix(task: Task, reason: str, simulator: Package) -> str:
    if simulator.installed is None:
        install = catalog.domain(task.domain).install
        suited = simulator.for_this_python
        return install if suited else f"with Python {simulator.python}: {install}"
    if missing_assets(task):
        # The archive that one task needs serves the others of the group.
        return command("mmbench", "assets", "download", "--tasks", task.versioned_name)
    return _known_fix(reason)


def _more_time(outcome: Outcome, *flags: str) -> str:
    """What to do where the machine may just be busy."""
    return command("mmbench", "doctor", *flags, "--timeout", round(5 * outcome.seconds))


def _known_fix(message: str) -> str:
    return next((fix for part, fix in _KNOWN_FIXES.items() if part in message), "")


def _renderer(name: str, outcome: Outcome) -> Renderer:
    _, draws, fix = _RENDERERS[name]
    missing = outcome.said.get("missing")
    status = "slow" if outcome.slow else "fails" if outcome.failure else "works"
    problem = None
    if outcome.failure:
        problem = Problem(
            outcome.failure, _more_time(outcome) if outcome.slow else "", log=outcome.log
        )
    elif missing:
        lacks_sapien = missing.startswith("sapien")
        install = catalog.domain("maniskill").install
        status, problem = "missing", Problem(missing, install if lacks_sapien else fix)
    return Renderer(
        name=name,
        draws=draws,
        status=status,
        device=outcome.said.get("device"),
        seconds=round(outcome.seconds, 1),
        problem=problem,
    )


def _machine(torch: Outcome | None) -> Machine:
    problem = Problem(torch.failure, log=torch.log) if torch and torch.failure else None
    return Machine(
        python=platform.python_version(),
        python_tested=packages.python_range(),
        executable=sys.executable,
        system=platform.platform(),
        cores=_cores(),
        memory=_memory(),
        torch=packages.installed_version("torch"),
        gpus=tuple(torch.said.get("gpus", ())) if torch else (),
        torch_problem=problem,
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int | None:
    limits = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    # A container's own limit; "max" where there is none.
    with contextlib.suppress(ValueError, OSError):
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits, default=None)
