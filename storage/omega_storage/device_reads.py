"""The half of a TV's SQLite store that reads: events, what they say together, titles, profiles, skills and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.errors import InputError
from omega.core.ports import DeviceStore
from omega.core.records import Profile, SkillRow, Watched, WatchRecord
from omega.core.types import Title
from omega_storage.connection import pragma, size_bytes, snapshot, store_errors
from omega_storage.sql import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega_storage.connection import apsw

CONSOLIDATED = "consolidated"
"""The note of the last event that the skills hold."""
_SQL = queries("device")


class SqliteDeviceReads(DeviceStore):
    """What a device's file tells without a vector."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Read by an open connection."""
        self._connection, self._location = connection, connection.filename

    def version(self) -> int:
        """Return a number that moves when another process changed the store; takes 3 us."""
        with store_errors(self._location):
            return pragma(self._connection, "data_version")

    def events(
        self,
        newest: int | None = None,
        *,
        slot: int | None = None,
        content_id: str | None = None,
        profile: int | None = None,
    ) -> list[WatchRecord]:
        """Return the `newest` events (all with None) of a context, title and profile, in order of recording."""
        if newest is not None and newest < 0:
            raise InputError(f"newest is {newest}, allowed: 0 and more: leave it out for all events")
        given = {"e.slot": slot, "t.content_id": content_id, "e.profile_id": profile}
        asked = {column: value for column, value in given.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in asked) or "TRUE"
        sql, values = _SQL["events"].replace("{where}", where), (*asked.values(), -1 if newest is None else newest)
        with store_errors(self._location):
            rows = self._connection.execute(sql, values).fetchall()
        return [_event(row) for row in reversed(rows)]

    def events_after(self, row_id: int, most: int) -> list[tuple[int, WatchRecord]]:
        """Return up to `most` events recorded after the one with this row id, each with its own, in order."""
        return [(row[0], _event(row[1:])) for row in self._rows("events_after", (row_id, most))]

    def watched(self) -> list[Watched]:
        """Return what all events of each title say together, one row a title and profile."""
        return [Watched(*row) for row in self._rows("watched")]

    def event_count(self) -> int:
        """Return how many events there are."""
        return self._number("event_count")

    def pattern_count(self) -> int:
        """Return how many patterns there are."""
        return self._number("pattern_count")

    def titles(self) -> dict[str, Title | None]:
        """Return what was ever watched, by id; a Title where no catalog has it, unless its name is damaged."""
        return {key: _title(raw) for key, raw in self._rows("titles")}

    def space(self) -> str | None:
        """Return the space of the vectors, None as long as there are none."""
        rows = self._rows("space")
        return rows[0][0] if rows and rows[0][0] else None

    def skills(self) -> tuple[int, list[SkillRow]]:
        """Return the sums that were kept last, and the row id of the last event that they hold; 0 with none."""
        with store_errors(self._location), snapshot(self._connection):
            return int(self.note(CONSOLIDATED) or 0), [SkillRow(*row) for row in self._rows("skills")]

    def profiles(self) -> list[Profile]:
        """Return the named profiles, in order of their making."""
        return [Profile(*row) for row in self._rows("profiles")]

    def note(self, key: str) -> bytes | None:
        """Return a small value that was kept under a name, or None."""
        rows = self._rows("note", (key,))
        return rows[0][0].encode() if rows else None

    def size_bytes(self) -> int:
        """Return what the store takes on disk, its log included."""
        return size_bytes(self._location)

    def _is_underived(self) -> bool:
        return bool(self._number("event_count")) and not self._number("watched_count")

    def _rows(self, name: str, values: tuple[int | str, ...] = ()) -> list[tuple[Any, ...]]:
        with store_errors(self._location):
            return self._connection.execute(_SQL[name], values).fetchall()

    def _number(self, name: str) -> int:
        with store_errors(self._location):
            return int(self._connection.execute(_SQL[name]).get)


def _event(row: Sequence[Any]) -> WatchRecord:
    event = WatchRecord(*row)
    return event if event.shared is False else msgspec.structs.replace(event, shared=bool(event.shared))


def _title(raw: bytes | None) -> Title | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=Title)
    except (msgspec.DecodeError, TypeError):
        return None
