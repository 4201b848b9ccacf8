"""The record of one domain, and a row for each of the benchmark's ten."""

from __future__ import annotations

from dataclasses import dataclass

from mmbench.shell import command


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Everything MMBench knows about one simulator, without loading it.

    Attributes:
        name: What tasks and ``--tasks`` call it, such as ``dmcontrol``.
        title: As people write it, such as ``DMControl``.
        adapter: Module with a function ``make(task, frames) -> Simulator`` (see
            :class:`mmbench.domains.Simulator`). It is imported when a task is made.
        module: Module of the simulator. A task cannot run where it is not installed.
        packages: Distributions that simulate the domain; installing the first one is enough. A
            domain from outside may state tested versions (``"my-simulator>=2,<3"``); those of the
            benchmark's own domains stand in mmbench's pyproject.toml only.
        extra: The extra of mmbench that installs it. Empty where ``pip install`` of the first
            package does.
        python: The Python versions it can be installed on, such as ``<3.13``. Empty: all of
            mmbench's.
        megabytes: Memory that the first task adds to a process, roughly. From 100 on, as few
            worker processes as possible load it.
        step_microseconds: What an agent step costs where nobody has measured a task.
        doctor_seconds: How long ``mmbench doctor`` waits for its library to load and a task to be
            made and stepped: many times what an idle machine needs.
        missing: ``module:function`` that is asked what a task lacks besides ``module``, and
            answers with a sentence or None. It loads no simulator. Empty: nothing can be missing.
    """

    name: str
    title: str
    adapter: str
    module: str
    packages: tuple[str, ...]
    extra: str = ""
    python: str = ""
    megabytes: int = 100
    step_microseconds: float = 200.0
    doctor_seconds: float = 60.0
    missing: str = ""

    @property
    def install(self) -> str:
        """The command that installs the simulator."""
        if self.extra:
            return command("pip", "install", f"mmbench[{self.extra}]")
        if self.in_benchmark:  # mmbench itself requires what it needs
            return command("pip", "install", "mmbench")
        return command("pip", "install", self.packages[0])

    @property
    def in_benchmark(self) -> bool:
        """Whether it is one of the ten."""
        return self.name in (domain.name for domain in BENCHMARK)


BENCHMARK: tuple[Domain, ...] = (
    Domain(
        name="dmcontrol",
        title="DMControl",
        adapter="mmbench.domains.dmcontrol",
        module="dm_control",
        packages=("dm-control", "mujoco"),
        python="<3.13",
        megabytes=20,
    ),
    Domain(
        name="dmcontrol-ext",
        title="DMControl-Ext",
        adapter="mmbench.domains.dmcontrol_ext",
        module="dm_control",
        packages=("dm-control", "mujoco"),
        python="<3.13",
        megabytes=20,
    ),
    Domain(
        name="metaworld",
        title="Meta-World",
        adapter="mmbench.domains.metaworld",
        module="metaworld",
        packages=("metaworld", "mujoco"),
        extra="metaworld",
        megabytes=120,
        step_microseconds=350.0,
    ),
    Domain(
        name="maniskill",
        title="ManiSkill3",
        adapter="mmbench.domains.maniskill",
        module="mani_skill",
        packages=("mani-skill", "sapien"),
        extra="maniskill",
        python="<3.13",
        megabytes=500,
        step_microseconds=900.0,
        doctor_seconds=180.0,
        missing="mmbench.domains.maniskill:missing",
    ),
    Domain(
        name="mujoco",
        title="MuJoCo",
        adapter="mmbench.domains.mujoco",
        module="mujoco",
        packages=("gymnasium", "mujoco"),
        megabytes=20,
    ),
    Domain(
        name="box2d",
        title="Box2D",
        adapter="mmbench.domains.box2d",
        module="Box2D",
        packages=("box2d", "gymnasium"),
        extra="box2d",
        megabytes=20,
        step_microseconds=80.0,
    ),
    Domain(
        name="robodesk",
        title="RoboDesk",
        adapter="mmbench.domains.robodesk",
        module="robodesk",
        packages=("robodesk", "dm-control", "mujoco"),
        extra="robodesk",
        python="<3.13",
        megabytes=150,
        step_microseconds=6000.0,
    ),
    Domain(
        name="ogbench",
        title="OGBench",
        adapter="mmbench.domains.ogbench",
        module="ogbench",
        packages=("ogbench", "mujoco"),
        extra="ogbench",
        python="<3.13",
        megabytes=20,
    ),
    Domain(
        name="miniarcade",
        title="MiniArcade",
        adapter="mmbench.domains.miniarcade",
        module="miniarcade",
        packages=("miniarcade", "pygame-ce"),
        megabytes=10,
        step_microseconds=8.0,
    ),
    Domain(
        name="atari",
        title="Atari",
        adapter="mmbench.domains.atari",
        module="ale_py",
        packages=("ale-py",),
        extra="atari",
        megabytes=60,
        step_microseconds=250.0,
    ),
)
"""The benchmark's own domains, in the paper's order."""

GYM = Domain(
    name="gym",
    title="Gymnasium",
    adapter="mmbench.domains.gymnasium",
    module="gymnasium",
    packages=("gymnasium",),
    missing="mmbench.domains.gymnasium:missing",
)
"""Tasks that any Gymnasium environment becomes (see :func:`mmbench.gym_task`)."""
