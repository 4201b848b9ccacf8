"""Versions of the simulators: which is installed, and which the tests hold for.

The tested ranges are the requirements of the installed distributions themselves, so they stand in
one place only: ``pyproject.toml``. A domain from outside may state its own in its record.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from dataclasses import dataclass

from packaging import requirements as requirements_
from packaging.specifiers import SpecifierSet

from mmbench.catalog import Domain
from mmbench.doctor.report import Package
from mmbench.shell import command

_OWN = ("mmbench", "miniarcade")
"""Distributions whose requirements are tested ranges."""


@dataclass(frozen=True)
class Requirement:
    """A line of a distribution's metadata, as far as ours use the format.

    Attributes:
        name: The required distribution.
        versions: Such as ``<3.4,>=3.3.7``.
        extra: The extra that asks for it, or empty.
        python: The Python versions it is asked for on, such as ``<3.13``, or empty for all.
    """

    name: str
    versions: str
    extra: str
    python: str


def parse(line: str) -> Requirement:
    """Reads a ``Requires-Dist`` line."""
    stated = requirements_.Requirement(line)
    marker = str(stated.marker or "")
    extra = re.search(r"extra == \"([^\"]+)", marker)
    python = re.search(r"python_version ([<>=!]+) \"([^\"]+)", marker)
    return Requirement(
        name=stated.name,
        versions=str(stated.specifier),
        extra=extra.group(1) if extra else "",
        python="".join(python.groups()) if python else "",
    )


def within(version: str, versions: str) -> bool:
    """Whether a version is in a range such as ``<3.4,>=3.3.7``, pre-releases included."""
    return SpecifierSet(versions).contains(version, prereleases=True)


def readable(versions: str) -> str:
    """A range with its lower bound first: ``>=3.3.7,<3.4``."""
    return ",".join(sorted(filter(None, versions.split(",")), reverse=True))


def installed_version(name: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements() -> dict[str, Requirement]:
    """The requirements of mmbench and its extras, and of miniarcade, by name."""
    found: dict[str, Requirement] = {}
    for distribution in reversed(_OWN):
        try:
            lines = importlib.metadata.requires(distribution) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a source tree that was never installed: the ranges are unknown
        for requirement in map(parse, lines):
            # What an extra lists appears again under "all".
            if requirement.extra != "all" and (distribution == "mmbench" or not requirement.extra):
                found[requirement.name] = requirement
    return found


def package(line: str, known: dict[str, Requirement], domain: Domain | None = None) -> Package:
    """What is known of one distribution.

    Args:
        line: Its name, with its tested versions where a domain states them (``name>=1,<2``).
        known: What :func:`requirements` returns.
        domain: The domain that it is the first package of, if it is one's.
    """
    stated = parse(line)
    requirement = stated if stated.versions else known.get(stated.name)
    installed = installed_version(stated.name)
    tested = readable(requirement.versions) if requirement else None
    python = domain.python if domain else requirement.python if requirement else ""
    return Package(
        name=stated.name,
        installed=installed,
        tested=tested,
        in_range=None if installed is None or tested is None else within(installed, tested),
        extra=requirement.extra or None if requirement else None,
        python=python or None,
        for_this_python=within(platform.python_version(), python),
    )


def of_domain(domain: Domain, known: dict[str, Requirement]) -> tuple[Package, ...]:
    """What is known of the distributions that simulate a domain."""
    first, *others = domain.packages
    return package(first, known, domain), *(package(each, known) for each in others)


def python_range() -> str | None:
    """The Python versions that mmbench is for, or None where it is not installed."""
    try:
        versions = importlib.metadata.metadata("mmbench")["Requires-Python"]
    except importlib.metadata.PackageNotFoundError:
        return None
    return readable(versions.replace(" ", "")) if versions else None


def install_command(package: Package, known: dict[str, Requirement]) -> str:
    """What installs the tested version of a package."""
    if package.extra:
        return command("pip", "install", f"mmbench[{package.extra}]")
    if package.name in known:
        return command("pip", "install", "mmbench")
    return command("pip", "install", f"{package.name}{package.tested or ''}")
