"""Opens the brain for a command, with progress while a new catalog is embedded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from omega_cli import options, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.device.brain import Brain


@contextmanager
def brain(*, create: bool = False, **flags: object) -> Iterator[Brain]:
    """Give the brain of the settings in force with these flags, and close it.

    A TV that isn't there is made with `create`, or when no store was named: a name that was mistyped makes none.
    """
    from omega.compose import open_brain

    with render.progress("embedding the catalog") as progress:
        opened = open_brain(options.settings(**flags), progress=progress, create=create or flags.get("store") is None)
    try:
        yield opened
    finally:
        opened.close()
