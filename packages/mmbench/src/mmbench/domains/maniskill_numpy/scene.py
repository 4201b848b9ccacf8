"""ManiSkill's scenes without its tensors: what every task of this package is written on.

The package builds scene, robot and objects, and starts every episode. From then on a raw step is

1. ``task.apply(action)``: the controller, which sets the targets of the joints' drives;
2. as many steps of the physics as the package takes in a control period;
3. ``task.evaluate()``: reward and success, of the package's normalised dense reward.

and after an agent step ``task.observe(out)`` writes the observation. A task is a class::

    class Reach(RawTask):
        def __init__(self, environment):
            super().__init__(environment)   # articulation, physics
            self._goal = body(environment.goal_site)   # whatever the formulas read

        def apply(self, action): ...        # uses self.articulation, joints' set_drive_target
        def evaluate(self): ...             # -> (reward, success); NumPy or plain floats
        def observe(self, out): ...         # writes all of out, (obs_dim,) float32

and is entered in ``TASKS`` of this package's ``__init__``. It is built anew for every scene, as
the package builds a scene for every episode, so it may look up links and joints once, in its
constructor; it keeps nothing from step to step, because nothing else is part of the state.

Everything is read from the simulator where it is needed: an array costs half a microsecond. What
sapien returns are copies in float32, quaternions w first, in metres, radians and seconds.
"""

from __future__ import annotations

import abc
import importlib
from typing import Any

import numpy as np


class RawTask(abc.ABC):
    """Controller, observation, reward and success of a task, for the scene it was built with.

    Args:
        environment: The package's environment, its scene built.

    Attributes:
        articulation: The robot, sapien's ``PhysxArticulation``: ``get_qpos()``, ``get_qvel()``,
            ``active_joints``.
        physics: The physics of the scene, sapien's ``PhysxCpuSystem``.
        substeps: Steps of the physics per raw step.
        timestep: Seconds of one of them.
    """

    def __init__(self, environment: Any) -> None:
        self.articulation = environment.agent.robot._objs[0]
        self.physics = environment.scene.px
        self.substeps = int(environment._sim_steps_per_control)
        self.timestep = float(self.physics.timestep)

    def raw_step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes a raw step.

        Args:
            action: ``(action_dim,)`` float32 in [-1, 1]. Not changed.

        Returns:
            Its reward and success.
        """
        self.apply(action)
        step = self.physics.step
        for _ in range(self.substeps):
            step()
        return self.evaluate()

    @abc.abstractmethod
    def apply(self, action: np.ndarray) -> None:
        """Sets the drives' targets for a raw step.

        Args:
            action: ``(action_dim,)`` float32 in [-1, 1]. Not to be changed.
        """

    @abc.abstractmethod
    def evaluate(self) -> tuple[float, float]:
        """The raw step's reward and success, 0.0 or 1.0 (0.0 where the package has none)."""

    @abc.abstractmethod
    def observe(self, out: np.ndarray) -> None:
        """Writes the package's flat state observation into ``out``, ``(obs_dim,)`` float32."""


def renew_physics(environment: Any) -> bool:
    """Moves everything in the package's scene into new physics, which remembers no contacts.

    It is what the package reaches by building the scene again, in a fiftieth of the time: robot
    and objects stay, with their shapes and materials, but lose the contacts of the steps before,
    by which the same state would continue differently. Their state is not changed.

    Not so where drives close a robot's loops (the xArm's gripper): in new physics they act in
    another order, by which a state continues up to 3e-4 otherwise than in a rebuilt scene.

    Args:
        environment: The package's environment, its scene built.

    Returns:
        Whether it was done: False, and nothing changed, where there are such drives.
    """
    sapien, physx = importlib.import_module("sapien"), importlib.import_module("sapien.physx")
    scene = environment.scene
    (old,) = scene.sub_scenes
    entities = list(old.entities)
    if any(entity.find_component_by_type(physx.PhysxDriveComponent) for entity in entities):
        return False
    environment._set_scene_config()  # global in sapien: another environment may have changed it
    physics = physx.PhysxCpuSystem()
    physics.timestep = scene.px.timestep
    drawing = [old.render_system] if scene.can_render() else []
    new = sapien.Scene([physics, *drawing])
    for entity in entities:
        old.remove_entity(entity)
    for entity in entities:
        new.add_entity(entity)
        moving = entity.find_component_by_type(physx.PhysxRigidDynamicComponent)
        if moving is not None and not moving.kinematic:
            moving.wake_up()  # as if new: contacts make bodies stay awake for longer
    scene.sub_scenes = [new]
    scene.px = physics
    return True


def body(struct: Any) -> Any:
    """The physics component of one of the package's actors or links.

    Returns:
        Sapien's rigid body: ``entity_pose`` with ``p`` and ``q``, ``linear_velocity``,
        ``angular_velocity``, ``entity``.
    """
    return struct._bodies[0]


def link(environment: Any, name: str) -> Any:
    """The physics component of a robot's link, by the name it has in the robot's file."""
    return body(environment.agent.robot.links_map[name])


def contact_force(physics: Any, first: Any, second: Any, timestep: float) -> np.ndarray:
    """The force that the second body exerts on the first, in the last physics step.

    Args:
        physics: The physics of the scene.
        first: A rigid body, see :func:`body`.
        second: Another one.
        timestep: Seconds of a physics step.

    Returns:
        ``(3,)`` newtons, in the world's frame, summed over all points of contact.
    """
    impulse = np.zeros(3)
    for contact in physics.get_contacts():
        one, other = contact.bodies
        if one is first and other is second:
            sign = 1.0
        elif one is second and other is first:
            sign = -1.0
        else:
            continue
        for point in contact.points:
            impulse += sign * point.impulse
    return impulse / timestep
