"""Each TV's row in a shard's database, read by a bystander: what a load test holds acknowledgements against.

The shard's own store isn't asked: what it would get wrong, it would get wrong twice.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from omega.compose import extra_module
from omega.core.errors import StoreError, shown
from omega.fleet.load.devices import VERSION_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from omega.core.ports import Integers

_SQLITE = "sqlite:///"
_ROWS = "SELECT slot, incarnation, version FROM device ORDER BY slot"
_AT_ONCE = 50_000


def standing(incarnation: Integers, version: Integers) -> NDArray[np.uint64]:
    """Return (n,) as one number each, which orders as (incarnation, version) does; both below 2^32."""
    return incarnation.astype(np.uint64) << np.uint64(VERSION_BITS) | version.astype(np.uint64)


def behind(acknowledged: NDArray[np.uint64], slots: Integers, chunks: Iterable[Integers]) -> int:
    """Return how many TVs were acknowledged more than their row in the database has; one without a row has nothing.

    (n,) `acknowledged` are `standing`s, 0 where nothing was; (n,) `slots` the TVs' numbers; chunks are (m, 3): number,
    incarnation, version.
    """
    order = np.argsort(slots)
    ascending = slots[order]
    held = np.zeros(len(slots), np.uint64)
    for rows in chunks:
        place = np.minimum(np.searchsorted(ascending, rows[:, 0]), len(ascending) - 1)
        ours = ascending[place] == rows[:, 0]
        held[order[place[ours]]] = standing(rows[ours, 1], rows[ours, 2])
    return int(np.count_nonzero(acknowledged > held))


def rows_of(location: str) -> Iterator[Integers]:
    """Give (m, 3) int64 of all devices' rows, by number. Raises StoreError."""
    if location.startswith(_SQLITE):
        return _of_file(Path(location.removeprefix(_SQLITE)))
    return _of_postgres(location)


def _of_file(path: Path) -> Iterator[Integers]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(_ROWS)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield np.asarray(rows, np.int64)
    except sqlite3.Error as error:
        raise StoreError(f"the TVs' rows can't be read in {path} ({error}): is it a shard's store?") from error


def _of_postgres(location: str) -> Iterator[Integers]:
    psycopg = extra_module("psycopg", "postgres")
    try:
        with psycopg.connect(location) as connection, connection.cursor(name="load_rows") as cursor:
            cursor.execute(_ROWS, binary=True)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield np.asarray(rows, np.int64)
    except psycopg.Error as error:
        told = " ".join(str(error).split())[:200]
        raise StoreError(f"the TVs' rows can't be read in {shown(location)} ({told}): is Postgres there?") from error
