"""What follows from a TV's events, made anew: patterns and summaries, when events are forgotten or a file is old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omega.core.records import Forgotten, PatternRecord
from omega.core.types import pattern_id, title_key
from omega_storage.pattern_index import PatternRow
from omega_storage.recovery import row_checksum
from omega_storage.sql import queries

if TYPE_CHECKING:
    from omega.core.records import Selection
    from omega_storage.connection import apsw

_SQL = queries("device")
_CHECKED = (("event", "unchecked", "set_checksum"), ("title", "unchecked_titles", "set_title_checksum"))
_ALL = "SELECT id FROM title"
_DOOMED = "SELECT id FROM temp.doomed_title"


def derive(connection: apsw.Connection, which: str | None) -> None:
    """Make patterns and summaries of titles, by default of all, that have none; the patterns' lengths are to come."""
    titles = which or _ALL
    if which is None:
        for table, read, write in _CHECKED:
            rows: list[Any] = connection.execute(_SQL[read]).fetchall()
            connection.executemany(_SQL[write], [(row_checksum(table, values), row_id) for row_id, *values in rows])
    connection.execute(_SQL["derive_watched"].replace("{which}", titles))
    found: list[Any] = connection.execute(_SQL["summed"].replace("{which}", titles)).fetchall()
    for content_id, title_id, slot, profile, *sums in found:
        row = pattern_id(content_id, slot, profile), title_id, slot, profile, *sums, 0.0
        connection.execute(_SQL["add_pattern"], row)


def forget(connection: apsw.Connection, selection: Selection) -> tuple[Forgotten, list[int]]:
    """Within the caller's transaction, delete what is selected and derive anew what is left of the same titles.

    Return also the row ids of titles of which nothing is left, whose vectors are the caller's to remove.
    """
    asked = {
        "content_id": selection.content_id,
        "since": selection.since,
        "until": selection.until,
        "profile": selection.profile,
    }
    events_before, patterns_before = _count(connection, "event_count"), _count(connection, "pattern_count")
    retracted_before = _retractions(connection)
    connection.execute(_SQL["begin_forgetting"], asked)
    named: list[Any] = connection.execute(_SQL["doomed_titles"]).fetchall()
    keys = [(title_key(content_id),) for (content_id,) in named]
    for step in ("retract_pruned", "drop_pruned"):
        connection.executemany(_SQL[step], keys)
    for step in ("retract_trials", "drop_trials"):
        connection.execute(_SQL[step], (selection.is_everything,))
    for step in ("retract", "drop_queued", "forget_events", "forget_derived"):
        connection.execute(_SQL[step])
    derive(connection, _DOOMED)
    connection.execute(_SQL["end_forgetting"])
    emptied: list[Any] = [row_id for (row_id,) in connection.execute(_SQL["empty_titles"]).fetchall()]
    connection.executemany(_SQL["drop_title"], [(row_id,) for row_id in emptied])
    if selection.content_id is None and selection.since is None and selection.until is None:
        connection.execute(_SQL["drop_profiles"], (selection.profile,))
    connection.execute(_SQL["drop_skills"])
    gone = events_before - _count(connection, "event_count"), patterns_before - _count(connection, "pattern_count")
    retractions = _retractions(connection) - retracted_before
    return Forgotten(*gone, titles=len(emptied), retractions=retractions), emptied


def pattern_row(connection: apsw.Connection, row_id: int) -> PatternRow:
    """Return the pattern with this id, which is there."""
    return as_pattern(connection.execute(_SQL["pattern"], (row_id,)).fetchone())


def as_pattern(row: Any) -> PatternRow:
    """Return a row of the statements `pattern`, `patterns` and `nearest`."""
    return PatternRow(PatternRecord(*row[:8]), *row[8:])


def _count(connection: apsw.Connection, name: str) -> int:
    return int(connection.execute(_SQL[name]).get)


def _retractions(connection: apsw.Connection) -> int:
    counts: Any = connection.execute(_SQL["ledger_counts"]).get
    return int(counts[3])
