"""Cartpole: the suite's balance with two poles in a chain, and with one long pole."""

from __future__ import annotations

from dm_control.rl import control
from dm_control.suite import cartpole

from mmbench.models import Random, mjcf

_LONG_POLE = {"fromto": "0 0 0 0 0 1.5", "mass": ".2"}  # the suite's: 1 metre, 0.1 kg


def balance_two_poles_sparse(random: Random = None) -> control.Environment:
    """The suite's sparse balance with two poles, which start almost upright."""
    model, assets = cartpole.get_model_and_assets(num_poles=2)
    return _environment(model, assets, random)


def balance_long_sparse(random: Random = None) -> control.Environment:
    """The suite's sparse balance with one long, heavy pole."""
    model = mjcf.stock("cartpole.xml")
    mjcf.edit(model, "./default/default[@class='pole']/geom", **_LONG_POLE)
    return _environment(*mjcf.to_xml(model), random)


def _environment(model: bytes, assets: dict[str, bytes], random: Random) -> control.Environment:
    physics = cartpole.Physics.from_xml_string(model, assets)
    return control.Environment(physics, cartpole.Balance(False, sparse=True, random=random))
