"""What the looks share, and what they say."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from omega.compose import STORE_FILE
from omega.core.errors import OmegaError
from omega.core.types import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder, Floats
    from omega.core.settings import Resolved, Settings
    from omega.device.brain import Brain

    Progress: TypeAlias = Callable[[int, int, str], None]

Outcome: TypeAlias = Literal["ok", "warn", "fail", "skip"]
"""`warn`: it works, less well than it could; `skip`: there is nothing to look at, or something else comes first."""
INSTALL = "pip install 'exogenesis-omega[device]'"
COPY = "copy"
"""The copy's folder in the temporary one."""
REPORT = "report this, with what omega doctor --json prints"
T = TypeVar("T")


class Looked(NamedTuple):
    """What one look found."""

    outcome: Outcome
    found: str
    advice: str | None = None


class SkippedError(Exception):
    """A look makes no sense here; says why."""


class Patient:
    """The TV that is looked at; a look leaves here what later ones need."""

    def __init__(self, resolved: Resolved, moment: datetime, progress: Progress) -> None:
        """Look at nothing yet; `moment` is the time by the TV's clock, aware."""
        self.resolved = resolved
        self.settings = resolved.settings
        self.file = self.settings.store / STORE_FILE
        self.moment = moment
        self.progress = progress
        self.opened = ExitStack()
        self.folder: Path | None = None
        """A temporary one, private to this user."""
        self.copy: Path | None = None
        """Of the store; None unless that is there and sound."""
        self.newest_s: int | None = None
        """When the last event was, unix seconds."""
        self.serving: int | None = None
        """The daemon's process."""
        self.catalog: Catalog | None = None
        self.embedder: Embedder | None = None
        self.vectors: dict[str, Floats] = {}
        """(384,) each, by text, of the contexts and of some titles."""
        self.space = ""
        self.dimensions = DIMENSIONS
        self.trial: Settings | None = None
        self.brain: Brain | None = None
        """The trial's."""
        self.listed: list[str] = []
        """What it recommended."""

    def at(self, store: Path, home: Path | None = None) -> Settings:
        """Return the settings with another store and home."""
        return msgspec.structs.replace(self.settings, store=store, home=home or self.settings.home)

    def named(self, text: str) -> str:
        """Return what was said of the copy as said of the store."""
        return text.replace(str(self.folder / COPY), str(self.settings.store)) if self.folder else text

    def stop(self) -> None:
        """Close the trial's brain."""
        if self.brain:
            self.brain.close()
            self.brain = None

    def release(self) -> None:
        """Close the embedder."""
        if self.embedder:
            self.embedder.close()
            self.embedder = None

    def close(self) -> None:
        """Close all and remove the temporary folder."""
        with suppress(OmegaError, OSError):  # on a full disk; the looks have told of that
            self.opened.close()


def needed(value: T | None, otherwise: str) -> T:
    """Return what an earlier look left; without it, this one is skipped."""
    if value is None:
        raise SkippedError(otherwise)
    return value


@contextmanager
def timed(times_ms: list[float]) -> Iterator[None]:
    """Add what the block took."""
    started = time.perf_counter()
    yield
    times_ms.append(1000 * (time.perf_counter() - started))


def mib(size_bytes: float) -> str:
    """Return a size in words."""
    return f"{size_bytes / 2**20:.1f} MiB"
