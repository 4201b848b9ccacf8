"""The other process of ``mmbench doctor``: tries one thing and says, line by line, how far it came.

``python -m mmbench.doctor.probe tasks MODULES NAME ...``: imports the modules (separated by commas,
or empty), tells which of the tasks cannot run, makes the first of the others, resets it and steps
it once. ``opengl egl|osmesa`` and ``vulkan``: draw a
frame. ``torch``: looks for GPUs.

The report is JSON objects, a line each, on what was the standard output; whatever a simulator or a
driver prints goes to the standard error.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

_SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 -1 2"/>
    <camera name="front" pos="0 -2 0" xyaxes="1 0 0 0 0 1"/>
    <geom type="box" size=".3 .3 .3" euler="20 30 0" rgba="1 0 0 1"/>
  </worldbody>
</mujoco>
"""
_LIBRARIES = {
    "egl": ("libEGL.so.1", "libEGL.so"),
    "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"),
}


class MissingError(Exception):
    """What is asked for is not on this machine."""


class Reporter:
    """Writes the report, a line at a time, so that it survives a crash."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        os.dup2(2, 1)

    def say(self, **facts: Any) -> None:
        """Adds facts to the report."""
        os.write(self._fd, (json.dumps(facts) + "\n").encode())


def probe_tasks(modules: str, names: Sequence[str], report: Reporter) -> None:
    """Finds the tasks that cannot run, and steps the first that can."""
    import numpy as np

    from mmbench import catalog
    from mmbench.domains import adapter, unavailable
    from mmbench.env import TaskEnv

    catalog.import_modules(modules or None)
    reasons = {name: unavailable(catalog.get(name)) for name in names}
    report.say(unavailable={name: reason for name, reason in reasons.items() if reason})
    able = next((name for name, reason in reasons.items() if reason is None), None)
    if able is None:
        return
    report.say(doing="importing the simulator")
    task = catalog.get(able)
    adapter(task)
    report.say(tried=able, doing=f"making {able}")
    env = TaskEnv(task, obs="state" if task.obs_dim else "rgb")
    report.say(doing=f"resetting {able}")
    env.reset(seed=0)
    report.say(doing=f"stepping {able}")
    obs, reward, *_ = env.step(np.zeros(env.action_space.shape or (), np.float32))
    if not (np.isfinite(obs).all() and np.isfinite(reward)):
        raise FloatingPointError(f"{able}: a step from the first state is not finite")
    report.say(doing=f"closing {able}")
    env.close()


def probe_opengl(backend: str, report: Reporter) -> None:
    """Draws a frame of a MuJoCo scene as every such task does."""
    report.say(doing="importing mujoco")
    # mujoco loads the backend it names while it is imported, mmbench when it draws.
    os.environ.pop("MUJOCO_GL", None)
    import mujoco

    os.environ["MUJOCO_GL"] = backend

    from mmbench.rendering import MujocoRenderer, RendererUnavailableError, device

    model = mujoco.MjModel.from_xml_string(_SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    report.say(doing="drawing a frame")
    renderer = MujocoRenderer(model, "front")
    try:
        frame = renderer.render(data)
    except RendererUnavailableError as error:
        libraries = _LIBRARIES[backend]
        if any(map(_loads, libraries)):
            raise
        raise MissingError(f"{libraries[0]} is not installed") from error
    if frame.std() == 0:
        raise RuntimeError("the frame is empty")
    report.say(device=device(), doing="closing")
    renderer.close()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def probe_vulkan(report: Reporter) -> None:
    """Draws a frame with SAPIEN, ManiSkill's renderer, on a GPU or else on the CPU."""
    report.say(doing="importing sapien")
    try:
        import sapien
    except ModuleNotFoundError as error:
        if error.name != "sapien":
            raise
        raise MissingError("sapien, which draws with it, is not installed") from error
    report.say(doing="looking for a device")
    try:
        summary = sapien.render.get_device_summary()
    except RuntimeError as error:
        raise MissingError(f"no Vulkan device: {error}") from error
    try:
        device = sapien.Device("cuda")
        report.say(device=device.name)
    except RuntimeError:
        device = sapien.Device("cpu")
        report.say(device=summary.strip().splitlines()[0].removeprefix("GPU: "))
    report.say(doing="drawing a frame")
    systems = [sapien.physx.PhysxCpuSystem(), sapien.render.RenderSystem(device)]
    scene = sapien.Scene(systems)
    scene.set_ambient_light([0.5, 0.5, 0.5])
    builder = scene.create_actor_builder()
    builder.add_box_visual(half_size=[0.2, 0.2, 0.2])
    builder.set_initial_pose(sapien.Pose())
    builder.build_kinematic()
    camera = scene.add_camera("camera", 32, 32, 1.0, 0.1, 10.0)
    camera.entity.set_pose(sapien.Pose([-1, 0, 0]))
    scene.update_render()
    camera.take_picture()
    if camera.get_picture("Color").std() == 0:
        raise RuntimeError("the frame is empty")
    report.say(doing="closing")


def probe_torch(report: Reporter) -> None:
    """Looks for GPUs that PyTorch can use."""
    report.say(doing="importing torch")
    import torch

    report.say(doing="looking for GPUs")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    report.say(gpus=gpus)


def main(arguments: Sequence[str]) -> int:
    """Runs one probe; see the module."""
    faulthandler.enable()
    report = Reporter()
    kind, *rest = arguments
    try:
        if kind == "tasks":
            probe_tasks(rest[0], rest[1:], report)
        elif kind == "opengl":
            probe_opengl(rest[0], report)
        else:
            {"vulkan": probe_vulkan, "torch": probe_torch}[kind](report)
    except MissingError as error:
        report.say(missing=str(error))
    except BaseException as error:  # whatever it is belongs into the report
        report.say(error=f"{type(error).__name__}: {error}")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
