"""Reading and editing model files: ours beside this module, and those of the installed suite."""

from __future__ import annotations

from importlib import resources
from xml.etree import ElementTree

from dm_control.suite import common


def stock(name: str) -> ElementTree.Element:
    """Parses a model of dm_control's suite, such as ``walker.xml``."""
    return ElementTree.fromstring(common.read_model(name))


def own(name: str) -> ElementTree.Element:
    """Parses a model of this folder, such as ``spinner.xml``."""
    return ElementTree.fromstring(resources.files("mmbench.models").joinpath(name).read_bytes())


def edit(model: ElementTree.Element, path: str, **attributes: str) -> None:
    """Sets attributes of the one element that ``path`` finds.

    Raises:
        ValueError: The model has no such element.
    """
    _find(model, path).attrib.update(attributes)


def remove(model: ElementTree.Element, path: str) -> None:
    """Removes the one element that ``path`` finds.

    Raises:
        ValueError: The model has no such element.
    """
    _find(model, f"{path}/..").remove(_find(model, path))


def to_xml(model: ElementTree.Element) -> tuple[bytes, dict[str, bytes]]:
    """Returns what ``Physics.from_xml_string`` takes: the model and the suite's materials."""
    return ElementTree.tostring(model), common.ASSETS


def _find(model: ElementTree.Element, path: str) -> ElementTree.Element:
    element = model.find(path)
    if element is None:
        raise ValueError(f"the model {model.get('model')!r} has no {path}")
    return element
