"""The report of ``mmbench doctor``; its fields are the keys of ``mmbench doctor --json``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One distribution.

    Attributes:
        name: As on PyPI.
        installed: Its version, or None.
        tested: The range of versions that mmbench asks for and its tests hold for, or None where
            another package decides.
        in_range: Whether the installed version is in it; None where one of both is unknown.
        extra: The extra of mmbench that installs it, or None.
        python: The range of Python versions it can be installed on, or None for all.
        for_this_python: Whether this Python is one of them.
    """

    name: str
    installed: str | None
    tested: str | None
    in_range: bool | None
    extra: str | None
    python: str | None
    for_this_python: bool


@dataclass(frozen=True)
class Problem:
    """Something that is missing or wrong.

    Attributes:
        reason: What.
        fix: What to do about it, or empty where that is not known.
        tasks: The names of the tasks that cannot run because of it.
        log: The last lines that the process printed where it failed, or empty.
    """

    reason: str
    fix: str = ""
    tasks: tuple[str, ...] = ()
    log: str = ""


@dataclass(frozen=True)
class DomainReport:
    """One domain.

    Attributes:
        domain: Its name.
        status: ``works``: all tasks can run, with tested versions; ``untested``: all can run,
            with another version; ``partial``: some can run; ``missing``: none, since the package
            or what they need beside it is not installed; ``slow``: none gave an answer in time,
            which says nothing on a busy machine; ``fails``: none, although it is installed.
        packages: What simulates it, the one it is installed by first.
        tasks: How many of its tasks were asked for; by default all, held-out ones and extras too.
        runnable: How many of them can run here.
        tried: The task that was made, reset and stepped once, such as ``walker-walk``, or None
            where none could be.
        seconds: How long that took, with the import of the simulator.
        problems: Why the others cannot.
    """

    domain: str
    status: str
    packages: tuple[Package, ...]
    tasks: int
    runnable: int
    tried: str | None
    seconds: float
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Renderer:
    """One way to draw without a display.

    Attributes:
        name: ``EGL``, ``OSMesa`` or ``Vulkan``.
        draws: What it draws.
        status: ``works``: it drew a frame; ``missing``: its library or a device is not there;
            ``slow``: it gave no answer in time; ``fails``: it is there and did not draw, or
            crashed.
        device: What drew, as the driver names it, or None.
        seconds: How long the frame took, with the import of what asked for it.
        problem: Why it does not work, or None.
    """

    name: str
    draws: str
    status: str
    device: str | None
    seconds: float
    problem: Problem | None


@dataclass(frozen=True)
class Machine:
    """The machine and the Python.

    Attributes:
        python: Version of Python.
        python_tested: The range that mmbench is for, or None where mmbench is not installed.
        executable: Path of the interpreter.
        system: Name and version of the operating system.
        cores: Cores that this process may use.
        memory: Bytes of memory that this process may use, or None where it cannot be told.
        torch: Version of PyTorch, or None where it is not installed; nothing needs it but the
            agents, ManiSkill and some encoders.
        gpus: Names of the GPUs that PyTorch can use.
        torch_problem: Why PyTorch is installed and cannot be imported, or None.
    """

    python: str
    python_tested: str | None
    executable: str
    system: str
    cores: int
    memory: int | None
    torch: str | None
    gpus: tuple[str, ...]
    torch_problem: Problem | None


@dataclass(frozen=True)
class Report:
    """Everything ``mmbench doctor`` found out.

    Attributes:
        ok: Whether all tasks that were asked for can run here. Versions outside the tested range
            and missing renderers do not count.
        mmbench: Version of mmbench.
        machine: The machine and the Python.
        domains: A row a domain, in the benchmark's order, those from outside last.
        renderers: EGL, OSMesa and Vulkan: those that draw for the tasks asked for.
        others: What else mmbench uses or can use: its common dependencies, and the packages of
            the extras ``language`` and ``demos``.
        seconds: How long the examination took.
    """

    ok: bool
    mmbench: str
    machine: Machine
    domains: tuple[DomainReport, ...]
    renderers: tuple[Renderer, ...]
    others: tuple[Package, ...]
    seconds: float
