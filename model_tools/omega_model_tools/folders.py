"""Writing a folder so that it is there whole or not at all, and telling how far along a long task is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from omega import __version__
from omega.core.errors import InputError
from omega.core.model_folder import CARD_FILE

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what): `done` of `total` units of the whole task are done, `what` runs now."""


def silent(done: int, total: int, what: str) -> None:
    """Report nothing: the default where a Progress is taken."""


def made_with(*packages: str) -> dict[str, str]:
    """Return the versions of Omega and of `packages`, for a model card."""
    return {"omega": __version__, **{package: version(package) for package in packages}}


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out`; rename it to `out` at the end, or delete it when the block raises.

    An older model folder, or an empty one, is replaced. Raises InputError when `out` holds anything else.
    """
    if out.exists() and not (out / CARD_FILE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is no model folder: give another name or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise InputError(f"{out.parent} can't be written ({error.strerror}): give another folder") from error
    try:
        yield stage
        stage.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        stage.rename(out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
