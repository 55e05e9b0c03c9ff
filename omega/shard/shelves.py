"""What a shard gives out of its operator's folder of artifacts, which it looks at again while it runs.

What is broken or signed by somebody else is passed over and said once; the shard goes on with what is sound.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from omega.core.artifacts.catalogs import decode_catalog, later_catalog
from omega.core.artifacts.keys import Keyring
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.naming import CODES, to_wire
from omega.core.artifacts.shelf import Shelf
from omega.core.errors import ArtifactError, InputError
from omega.core.experiments import decode_experiments
from omega.shard.boards import Boards
from omega.shard.upkeep import kept_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from omega.core.artifacts.manifest import Manifest
    from omega.core.catalog import Catalog
    from omega.shard.shard import Shard

log = logging.getLogger("omega.shard")

LOOK_S: Final = 3.0
"""How often the folder's time is looked at; a change is read then."""
MOST_NAMED: Final = 64
"""A pull names no more."""
_SETTLED_NS: Final = 2_000_000_000
"""A folder that changed so lately may change again within the same tick of its clock."""


class Published:
    """The artifacts that one shard names and gives out."""

    def __init__(
        self, folder: Path, keys: Keyring, catalog: Catalog, region: str = "", now: Callable[[], float] = time.time
    ) -> None:
        """`keys` are the operator's, `catalog` the shard's own until a later epoch is found, `region` the shard's."""
        self.shelf = Shelf(folder)
        self.catalog = catalog
        self.current: Sequence[Manifest] = ()
        """What pulls name, as it was last looked at."""
        self._keys, self._region, self._now = keys, region, now
        self._boards, self._boards_read_at_ns = Boards(folder, keys), -2
        self._read_at_ns = -2  # the folder's own time
        self._sound: set[str] = set()  # catalogs whose bytes were checked, by the manifest's file
        self._told: set[str] = set()

    @classmethod
    def open(cls, folder: Path, trust: Sequence[Path], catalog: Catalog, region: str = "") -> Published:
        """Open a folder that is there, with files of public keys. Raises InputError, ArtifactError."""
        if not trust:
            raise InputError(f"artifacts is {folder}, without a key: name the operator's public key with --trust")
        published = cls(folder, Keyring.read(trust), catalog, region)
        published.shelf.current(published._keys, published._tell)
        return published

    def find(self, name: str) -> Path | None:
        """Return the file that a TV asks for by this name."""
        return self.shelf.find(name)

    async def look(self, shard: Shard) -> bool:
        """Let the shard go on with what the folder holds, and say whether any file for TVs there has changed.

        A later epoch of the catalog comes first, so that no TV is ahead of the shard; the board of all shards last,
        since it tells audiences by a basis that is to be named. Raises ArtifactError for a folder that can't be read,
        StoreError.
        """
        changed = await self._look_at_files(shard)
        if (changed_ns := self._boards.changed_ns()) != self._boards_read_at_ns:
            await asyncio.to_thread(self._boards.look, self._tell)
            self._boards_read_at_ns = _settled(changed_ns)
        await shard.set_merged(self._boards.told(shard.header, self._region, self._now()))
        return changed

    async def _look_at_files(self, shard: Shard) -> bool:
        if (changed_ns := self._changed_ns()) == self._read_at_ns:
            return False
        current, newer, experiments = await asyncio.to_thread(self._current)
        if newer is not None:
            await shard.set_catalog(newer)
            self.catalog = newer
            log.info("catalog %s is at epoch %d, %d titles", newer.lineage, newer.epoch, len(newer))
        self.current = current
        shard.set_experiments(experiments)
        shard.set_artifacts(tuple(to_wire(manifest.named) for manifest in current))
        self._read_at_ns = _settled(changed_ns)
        return True

    @asynccontextmanager
    async def watched(self, shard: Shard) -> AsyncIterator[None]:
        """Look now, and again and again within the block. Raises what `look` does, for the first time alone."""
        await self.look(shard)
        async with kept_up(partial(self.look, shard), LOOK_S):
            yield

    def _changed_ns(self) -> int:
        try:
            return self.shelf.folder.stat().st_mtime_ns
        except OSError:
            return -1  # reading it says what is wrong

    def _current(self) -> tuple[list[Manifest], Catalog | None, frozenset[int]]:
        """Return what a pull should name, a later epoch of the shard's catalog, if any, and experiments' codes."""
        newer: list[Catalog] = []
        codes = set[int]()

        def check(manifest: Manifest) -> None:
            if manifest.kind not in CODES:
                raise ArtifactError(f"{manifest.kind} isn't for TVs, allowed: {', '.join(CODES)}: publish it elsewhere")
            if manifest.kind is Kind.CATALOG and (found := self._judged(manifest)) is not None:
                newer.append(found)
            if manifest.kind is Kind.EXPERIMENTS:
                codes.update(one.code for one in decode_experiments(self.shelf.read(manifest)).experiments)

        named = self.shelf.current(self._keys, self._tell, check)
        if len(named) > MOST_NAMED:
            self._tell(str(len(named)), InputError(f"{len(named)} artifacts, allowed: {MOST_NAMED}: remove some"))
        return named[:MOST_NAMED], newer[0] if newer else None, frozenset(codes)

    def _judged(self, manifest: Manifest) -> Catalog | None:
        """Return a later epoch of the shard's catalog, None for one that it knows. Raises OmegaError for any other."""
        if manifest.file in self._sound:
            return None
        found = decode_catalog(self.shelf.read(manifest))
        if self.catalog.epochs[: len(found.epochs)] != found.epochs:
            return later_catalog(self.catalog, found)
        self._sound.add(manifest.file)
        return None

    def _tell(self, what: str, error: Exception) -> None:
        """Say once what is passed over."""
        if (line := f"{what} is passed over: {error}") not in self._told:
            self._told.add(line)
            log.warning("%s", line)


def _settled(changed_ns: int) -> int:
    """Return the time of a folder that was read just now; -2, which no folder has, where it is to be read again."""
    return changed_ns if time.time_ns() - changed_ns > _SETTLED_NS else -2
