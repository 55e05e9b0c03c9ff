"""Opens the brain for a command, with progress while a new catalog is embedded; or asks the daemon that has it open."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from omega.core.errors import InputError
from omega_cli import options, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.device.brain import Brain
    from omega.device.daemon.client import Client


@contextmanager
def brain(*, create: bool = False, **flags: object) -> Iterator[Brain | Client]:
    """Give the brain of the settings in force with these flags, and close it; that of the store's daemon if one runs.

    A TV that isn't there is made with `create`, or when no store was named: a name that was mistyped makes none.
    """
    from omega.compose import find_daemon, open_brain

    settings = options.settings(**flags)
    if client := find_daemon(settings):
        with client:
            _refuse_other(client, flags)
            yield client
        return
    with render.progress("embedding the catalog") as progress:
        opened = open_brain(settings, progress=progress, create=create or flags.get("store") is None)
    try:
        yield opened
    finally:
        opened.close()


def served(brain: Brain | Client) -> str:
    """Return what is to be said of the daemon that holds the brain; nothing when this process does."""
    daemon = getattr(brain, "daemon", None)
    return f"; process {daemon.pid} serves it" if daemon else ""


def _refuse_other(client: Client, flags: dict[str, object]) -> None:
    """Raise InputError for flags that a daemon, which opened its brain with its own, can't heed."""
    if given := [name for name, value in flags.items() if value is not None and name != "store"]:
        pid = client.daemon.pid
        found = f"--{given[0]} was given, but process {pid} serves this store with its own"
        raise InputError(f"{found}, allowed: --store: leave it out, or stop the daemon first (kill {pid})")
