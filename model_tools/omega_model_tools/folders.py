"""Writing a folder so that it is there whole or not at all, and telling how far along a long task is."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from omega import __version__
from omega.core.files import atomic_folder
from omega.core.model_folder import CARD_FILE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what): `done` of `total` units of the whole task are done, `what` runs now."""


def silent(done: int, total: int, what: str) -> None:
    """Report nothing: the default where a Progress is taken."""


def made_with(*packages: str) -> dict[str, str]:
    """Return the versions of Omega and of `packages`, for a model card."""
    return {"omega": __version__, **{package: version(package) for package in packages}}


def model_folder(out: Path) -> AbstractContextManager[Path]:
    """Give an empty folder that becomes the model folder `out` when the block ends well; an older one is replaced.

    Raises InputError when `out` holds anything else.
    """
    return atomic_folder(out, replaces=lambda folder: (folder / CARD_FILE).is_file())
