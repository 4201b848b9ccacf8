"""Protocols of mmbench as presets, and what a run's settings say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mmbench.catalog import Task, select
from mmbench.evaluation.protocol import FREE, PROTOCOLS, Entrant, Protocol
from newt_agent.config import RunConfig
from newt_agent.method import Method


def preset_names(method: type[Method]) -> tuple[str, ...]:
    """Returns the presets of a method, with those of the protocols that have it."""
    return (*method.presets, *(n for n, p in PROTOCOLS.items() if method.name in p.settings))


def preset(method: type[Method], name: str, device: str, num_tasks: int) -> RunConfig:
    """Returns the settings of a preset; see :meth:`newt_agent.method.Method.preset`."""
    if name not in PROTOCOLS:
        return method.preset(name, device, num_tasks)
    return _settings(method, PROTOCOLS[name], Entrant(method.name))


def label(
    method: type[Method], config: RunConfig, tasks: Sequence[Task], device: str, preset: str = ""
) -> dict[str, Any] | None:
    """Says whether a run follows a protocol; goes into its ``config.json``.

    Args:
        method: The run's.
        config: Its settings, complete.
        tasks: Those that can run.
        device: Where it computes.
        preset: The one that it began from.

    Returns:
        ``name``, ``version``, ``row`` and the settings that were ``changed``; None of a run that
        has neither a protocol's preset nor its tasks.
    """
    chosen = config.selected()
    for name, protocol in PROTOCOLS.items():
        if method.name not in protocol.settings:
            continue
        if preset != name and chosen != select(protocol.tasks):
            continue
        rows = {
            row: _changes(method, protocol, entrant, config, tasks, device)
            for row, entrant in protocol.entrants.items()
            if entrant.method == method.name
        }
        row = min(rows, key=lambda row: len(rows[row]))
        return {"name": name, "version": protocol.version, "row": row, "changed": rows[row]}
    return None


def _settings(method: type[Method], protocol: Protocol, entrant: Entrant) -> RunConfig:
    base = method.preset("machine", "cpu", len(select(protocol.tasks)))
    return _replace(base, {**protocol.settings[method.name], **entrant.flags})


def _replace(config: Any, values: Mapping[str, Any]) -> Any:
    """Replaces fields, of nested groups too."""
    return dataclasses.replace(
        config,
        **{
            name: _replace(getattr(config, name), value) if isinstance(value, Mapping) else value
            for name, value in values.items()
        },
    )


def _changes(
    method: type[Method],
    protocol: Protocol,
    entrant: Entrant,
    config: RunConfig,
    tasks: Sequence[Task],
    device: str,
) -> list[str]:
    """The settings in which a run differs from a row of a protocol."""
    wanted = method.complete(_settings(method, protocol, entrant), tasks, device).to_dict()
    given = config.to_dict()
    changed = [
        name
        for name in wanted
        if name not in (*FREE, "tasks", "device") and given[name] != wanted[name]
    ]
    if config.selected() != select(protocol.tasks):
        changed.insert(0, "tasks")
    if device != wanted["device"]:
        changed.append("device")
    return changed
