"""What all shards say together, as far as this one may tell it: the newest board of its operator's, while it is fresh.

Boards lie in a folder of their own within that of the published files, where no TV finds them by a name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import BOARDS_FOLDER, decode_board
from omega.core.errors import ArtifactError
from omega.core.wire import lineage_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from omega.core.artifacts.keys import Keyring
    from omega.core.artifacts.manifest import Manifest
    from omega.core.audience import Board
    from omega.core.errors import OmegaError
    from omega.core.privacy import Account
    from omega.core.shard_records import Shown
    from omega.core.wire import Header

FRESH_S: Final = 6 * 3600
"""An older board isn't told: what a shard has itself is nearer to what is watched now."""
_AHEAD_S: Final = 3600
"""So far may the clock of who made it be ahead."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a pull tells of a board."""

    trending: Sequence[Shown]
    """Most trending first."""
    removed: Sequence[int]
    basis: int
    """The version of the basis that the codes are of."""
    codes: Mapping[int, bytes] = field(default_factory=dict)
    """Audience codes by title."""
    privacy: Account | None = None
    """What the board's figures cost, where they were told with noise."""

    @classmethod
    def of(cls, board: Board, region: str) -> Merged:
        """Return the part for a region."""
        section = board.section(region)
        codes = {row.title: row.audience for row in section.rows if row.audience}
        return cls([row.shown for row in section.rows], section.removed, board.basis, codes, board.privacy)


class Boards:
    """The boards of one shard's operator."""

    def __init__(self, folder: Path, keys: Keyring) -> None:
        """`folder` is that of the published files."""
        self._shelf, self._keys = Shelf(folder / BOARDS_FOLDER), keys
        self._newest: Board | None = None
        self._read: Manifest | None = None

    def changed_ns(self) -> int:
        """Return the folder's time; -1 where there is none."""
        try:
            return self._shelf.folder.stat().st_mtime_ns
        except OSError:
            return -1

    def look(self, tell: Callable[[str, OmegaError], None]) -> None:
        """Read the newest sound board, if another one lies there; what is wrong with others is told."""
        if not self._shelf.folder.is_dir():
            self._newest = self._read = None
            return
        found: dict[str, Board] = {}

        def check(manifest: Manifest) -> None:
            if manifest.kind is not Kind.BOARD:
                raise ArtifactError(f"{manifest.kind} lies among boards, allowed: {Kind.BOARD}: publish it elsewhere")
            if manifest != self._read:
                found[manifest.file] = decode_board(self._shelf.read(manifest))

        current = self._shelf.current(self._keys, tell, check)
        newest = max(current, key=lambda manifest: manifest.version, default=None)
        if newest is None or newest != self._read:
            self._newest = found[newest.file] if newest else None
            self._read = newest

    def told(self, header: Header, region: str, now: float | None = None) -> Merged | None:
        """Return what a shard with this header tells now; None when it is old or of another catalog or space."""
        board, now = self._newest, time.time() if now is None else now
        if board is None or not -_AHEAD_S <= now - board.made_at <= FRESH_S:
            return None
        if (lineage_code(board.lineage), board.space) != (header.lineage, header.space):
            return None
        return Merged.of(board, region)
