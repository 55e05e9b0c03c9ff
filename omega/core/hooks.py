"""What a plugin implements: registration hooks, which return classes (or get the typer app) and do nothing else.

A plugin is a module or object whose functions carry `@hookimpl` and the names below; its distribution announces it
under the entry-point group `omega`. Built-ins register the same way. Nothing is ever called through pluggy while a
recommendation is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from omega.core.ports import Embedder, Engine, Strategy, Transport, VectorStore

PROJECT = "omega"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def omega_embedders() -> list[type[Embedder]]:  # type: ignore[empty-body]
    """Return embedder classes; called once, when an embedder or the list of plugins is first asked for."""


@hookspec
def omega_vector_stores() -> list[type[VectorStore]]:  # type: ignore[empty-body]
    """Return vector-store classes; called once, when a vector store or the list of plugins is first asked for."""


@hookspec
def omega_transports() -> list[type[Transport]]:  # type: ignore[empty-body]
    """Return transport classes; called once, when a transport or the list of plugins is first asked for."""


@hookspec
def omega_strategies() -> list[type[Strategy]]:  # type: ignore[empty-body]
    """Return federation strategies; called once, when a strategy or the list of plugins is first asked for."""


@hookspec
def omega_engines() -> list[type[Engine]]:  # type: ignore[empty-body]
    """Return engines; called once, when an engine or the list of plugins is first asked for."""


@hookspec
def omega_commands(app: typer.Typer) -> None:
    """Add commands or groups to an app of the plugin's own, whose commands then join the CLI.

    Called once at the start of `omega`, so import heavy things inside the commands.
    """
