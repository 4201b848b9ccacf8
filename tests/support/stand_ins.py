"""Stand-ins for ManiSkill's downloaded assets: same names, joints and layout, plain shapes.

They let the tasks that need those assets be built and stepped on a machine without them. Masses
and shapes are not the real ones, so no number measured here is a number of the benchmark.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

YCB_HALF_SIZES = {
    # metres; each another, so that a test can tell which one a scene holds
    "013_apple": (0.024, 0.025, 0.026),
    "077_rubiks_cube": (0.028, 0.028, 0.028),
    "044_flat_screwdriver": (0.05, 0.012, 0.012),
}

HAMMER = "048_hammer"
"""A stand-in of two parts, a handle and a thicker head, as the real shapes have several."""


SIZED_AS_THE_APPLE = ("005_tomato_soup_can", "011_banana")


def write_ycb(
    data: Path, model_ids: Iterable[str] = (*YCB_HALF_SIZES, *SIZED_AS_THE_APPLE, HAMMER)
) -> None:
    """Writes boxes in the layout of ManiSkill's YCB asset.

    Args:
        data: ManiSkill's data folder.
        model_ids: The objects; one without a size above gets that of the apple.
    """
    import trimesh

    folder = data / "assets" / "mani_skill2_ycb"
    info = {}
    for model_id in model_ids:
        model = folder / "models" / model_id
        model.mkdir(parents=True, exist_ok=True)
        half = np.array(YCB_HALF_SIZES.get(model_id, YCB_HALF_SIZES["013_apple"]))
        mesh = trimesh.creation.box(extents=2 * half)
        if model_id == HAMMER:
            handle = trimesh.creation.box(extents=(0.2, 0.02, 0.02))
            head = trimesh.creation.box(extents=(0.03, 0.1, 0.03))
            head.apply_translation((0.12, 0, 0))
            mesh = trimesh.util.concatenate([handle, head])
        mesh.export(model / "collision.ply")
        mesh.export(model / "textured.obj")
        low, high = mesh.bounds.tolist()
        info[model_id] = {"bbox": {"min": low, "max": high}, "scales": [1.0], "density": 500}
    (folder / "info_pick_v0.json").write_text(json.dumps(info))


def write_xarm6(data: Path) -> None:
    """Writes a robot with the links, joints and loop of ManiSkill's ``xarm6_robotiq``."""
    arm = [
        # parent, child, xyz, roll: the arm's dimensions in metres and radians
        ("link_base", "link1", (0, 0, 0.267), 0),
        ("link1", "link2", (0, 0, 0), -np.pi / 2),
        ("link2", "link3", (0.053, -0.2845, 0), 0),
        ("link3", "link4", (0.0775, 0.3425, 0), -np.pi / 2),
        ("link4", "link5", (0, 0, 0), np.pi / 2),
        ("link5", "link6", (0.076, 0.097, 0), -np.pi / 2),
    ]
    parts = [_link("link_base", 2.0, _box(0.06, 0.06, 0.1))]
    for number, (parent, child, xyz, roll) in enumerate(arm, start=1):
        parts.append(_link(child, 1.0))
        frame = (parent, child, xyz, (roll, 0, 0))
        parts.append(_joint(f"joint{number}", *frame, (0, 0, 1), (-6.28, 6.28)))
    parts.append(_link("robotiq_arg2f_base_link", 0.2))
    parts.append(_fixed("link6", "robotiq_arg2f_base_link", (0, 0, 0)))
    parts.append(_link("eef", 0.01))
    parts.append(_fixed("robotiq_arg2f_base_link", "eef", (0, 0, 0.135)))
    for side, sign, yaw in (("left", -1, np.pi), ("right", 1, 0)):
        parts += _finger(side, sign, yaw)
    _write(data / "robots" / "xarm6" / "xarm6_robotiq.urdf", "xarm6_robotiq", parts)


def _finger(side: str, sign: int, yaw: float) -> list[str]:
    """One finger: outer knuckle, finger and pad, and the inner knuckle that closes the loop."""

    base, turn, bend = "robotiq_arg2f_base_link", (0, 0, yaw), (1, 0, 0)
    knuckle, inner = (0, sign * 0.0306011, 0.054904), (0, sign * 0.0127, 0.06142)
    outer_knuckle, inner_knuckle, outer_finger, inner_finger, pad = (
        f"{side}_{part}"
        for part in (
            "outer_knuckle",
            "inner_knuckle",
            "outer_finger",
            "inner_finger",
            "inner_finger_pad",
        )
    )
    tip = (outer_finger, inner_finger, (0, 0.0061, 0.0471), (0, 0, 0))
    closing, opening = (0, 0.9), (-0.9, 0)
    return [
        *(_link(name, 0.02) for name in (outer_knuckle, inner_knuckle, outer_finger, inner_finger)),
        _link(pad, 0.02, _box(0.011, 0.003, 0.019)),
        _joint(f"{outer_knuckle}_joint", base, outer_knuckle, knuckle, turn, bend, closing),
        _joint(f"{inner_knuckle}_joint", base, inner_knuckle, inner, turn, bend, closing),
        _fixed(outer_knuckle, outer_finger, (0, 0.0315, -0.0041)),
        _joint(f"{inner_finger}_joint", *tip, bend, opening),
        _fixed(inner_finger, pad, (0, -0.022, 0.0324)),
    ]


def write_anymal(data: Path) -> None:
    """Writes a robot dog with the links and joints of ManiSkill's ``anymal_c``."""
    legs = {"LF": (1, 1), "RF": (1, -1), "LH": (-1, 1), "RH": (-1, -1)}
    parts = [_link("base", 20.0, _box(0.25, 0.12, 0.08))]
    for leg, (front, left) in legs.items():
        hip, thigh, foot = f"{leg}_HIP", f"{leg}_THIGH", f"{leg}_FOOT"
        shank = f"{leg}_KFE"  # ManiSkill counts the shank's contacts by this name
        straight, turned, swing, any_angle = (0, 0, 0), (1, 0, 0), (0, 1, 0), (-3, 3)
        at_hip, at_thigh = (front * 0.3, left * 0.1, 0), (front * 0.06, left * 0.08, 0)
        parts += [
            _link(hip, 1.0),
            _link(thigh, 1.0),
            _link(shank, 0.5, _ball(0.02)),
            _link(foot, 0.1, _ball(0.03)),
            _joint(f"{leg}_HAA", "base", hip, at_hip, straight, turned, any_angle),
            _joint(f"{leg}_HFE", hip, thigh, at_thigh, straight, swing, any_angle),
            _joint(f"{leg}_KFE", thigh, shank, (0, 0, -0.28), straight, swing, any_angle),
            _fixed(shank, foot, (0, 0, -0.27)),
        ]
    _write(data / "robots" / "anymal_c" / "urdf" / "anymal.urdf", "anymal", parts)


def point_maniskill_at(data: Path, monkeypatch) -> None:
    """Makes an imported ManiSkill, which fixed its folder when it was imported, use another one.

    Args:
        data: A folder as the functions above fill it; ``data.name`` must be ``data``.
        monkeypatch: pytest's, which undoes it.
    """
    import mani_skill
    from mani_skill.agents.robots import ANYmalC, XArm6Robotiq
    from mani_skill.envs.tasks.tabletop import pick_single_ycb
    from mani_skill.utils.building.actors import ycb

    monkeypatch.setenv("MS_ASSET_DIR", str(data.parent))
    for module in (mani_skill, pick_single_ycb, ycb):
        monkeypatch.setattr(module, "ASSET_DIR", data)
    monkeypatch.setattr(ANYmalC, "urdf_path", str(data / "robots/anymal_c/urdf/anymal.urdf"))
    monkeypatch.setattr(XArm6Robotiq, "urdf_path", str(data / "robots/xarm6/xarm6_robotiq.urdf"))


def _write(path: Path, name: str, parts: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<robot name='{name}'>\n{chr(10).join(parts)}\n</robot>\n")


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.8g}" for value in values)


def _box(*half_size: float) -> str:
    return f"<box size='{_numbers(2 * half for half in half_size)}'/>"


def _ball(radius: float) -> str:
    return f"<sphere radius='{radius}'/>"


def _link(name: str, mass: float, shape: str = "") -> str:
    moments = " ".join(f"{axis}='{mass * 1e-2}'" for axis in ("ixx", "iyy", "izz"))
    body = f"<geometry>{shape}</geometry>"
    return (
        f"<link name='{name}'><inertial><mass value='{mass}'/>"
        f"<inertia {moments} ixy='0' ixz='0' iyz='0'/></inertial>"
        + (f"<visual>{body}</visual><collision>{body}</collision>" if shape else "")
        + "</link>"
    )


def _joint(name, parent, child, xyz, rpy, axis, limits) -> str:
    return (
        f"<joint name='{name}' type='revolute'><parent link='{parent}'/><child link='{child}'/>"
        f"<origin xyz='{_numbers(xyz)}' rpy='{_numbers(rpy)}'/><axis xyz='{_numbers(axis)}'/>"
        f"<limit lower='{limits[0]}' upper='{limits[1]}' effort='100' velocity='10'/></joint>"
    )


def _fixed(parent, child, xyz) -> str:
    return (
        f"<joint name='{child}_fixed' type='fixed'><parent link='{parent}'/>"
        f"<child link='{child}'/><origin xyz='{_numbers(xyz)}'/></joint>"
    )
