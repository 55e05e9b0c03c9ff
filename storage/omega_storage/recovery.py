"""A damaged store: found, moved aside, and rebuilt from every page that can still be read.

SQLite keeps no checksum of a page, so damage within a value looks like another value. A table with a column `checksum`
(INTEGER, `row_checksum` of the row's other values) is proof against that: a row that doesn't add up is left behind, and
a row whose page no tree leads to any more is known as the table's all the same.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import zlib
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from omega.core.errors import DamagedStoreError, StoreError
from omega_storage.connection import apsw, connect, store_errors, sync_folder, transaction
from omega_storage.pages import TABLE_LEAF, Cell, Pages, Value
from omega_storage.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

CHECKSUM = "checksum"
_SQL = queries("recovery")
_SCHEMA_ROOT = 1
_BESIDE = ("-wal", "-shm")


class Rescue(msgspec.Struct, frozen=True):
    """What became of a damaged store."""

    damaged: Path
    """Where the damaged file lies now, its log beside it."""
    saved: dict[str, int]
    """Rows by table, those that `derive` left."""
    lost: dict[str, int]
    """Rows by table that an index still names, or that were read and are damaged: at least so many are lost."""


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    """As declared."""
    stored: tuple[int, ...]
    """Which column each stored value is of: a table without rowids has its key first."""
    alias: int | None
    """The column that is the rowid."""
    has_rowid: bool
    defaults: tuple[Value, ...]
    """As stored; a row that is older than its last columns lacks them."""
    reals: frozenset[int]
    """Columns whose whole numbers are stored as integers."""

    @property
    def checked(self) -> bool:
        return CHECKSUM in self.columns


class _Found(NamedTuple):
    rows: dict[object, tuple[Value, ...]]
    """By rowid, or by the row itself."""
    lost: int


def row_checksum(table: str, values: Sequence[Value]) -> int:
    """Return CRC-32 of a row's values as columns are declared, without its rowid and without the checksum."""
    return zlib.crc32(msgspec.msgpack.encode((table, *values)))


def examine(path: Path, *, thorough: bool = False) -> str | None:
    """Return what is wrong with the store's file, None when nothing was found.

    Takes 1 ms a MB, 15 ms for 10,000 patterns; `thorough` also holds indexes and checksums against the rows: 2 ms a MB
    and 15 us a row. Raises StoreError when it can't be opened for another reason.
    """
    try:
        with closing(connect(str(path))) as connection, store_errors(str(path)):
            found = connection.execute(_SQL["whole" if thorough else "quick"]).get
            wrong = found if found != "ok" else _wrong_row(connection) if thorough else None
    except DamagedStoreError as error:
        return str(error)
    return str(wrong) if wrong else None


def rebuild(
    path: Path,
    tables: Sequence[str],
    fresh: Callable[[Path], apsw.Connection],
    derive: Callable[[apsw.Connection], None],
    now: datetime,
) -> Rescue | None:
    """Put a new store in the place of a damaged one, and the damaged one beside it as store.db.damaged-<UTC time>.

    `fresh` makes an empty store and returns its connection; the rows of `tables` go there; `derive`, in the same
    transaction, makes of them what is derived. A power cut in between leaves the damaged store or the new one. An older
    damaged file is removed, so that there is never more than one. Returns None when another process did all this
    meanwhile. Raises StoreError when there is no room for both; the damaged one stays where it is then.
    """
    with _converted(path), _alone(path) as unchanged:
        if not unchanged:
            return None
        damaged = _kept(path, now)
        temporary = path.with_name(f".{path.name}.rebuilt")
        _remove(temporary)
        try:
            with closing(fresh(temporary)) as connection, store_errors(str(temporary)), transaction(connection):
                copied, lost = _copy(Pages(damaged), tables, connection)
                derive(connection)
                saved = {name: int(connection.execute(_SQL["count"].replace("{table}", name)).get) for name in tables}
        except BaseException:
            _remove(temporary)
            raise
        _take_place(temporary, path)
        for older in damaged_files(path):
            if older != damaged:
                _remove(older)
        return Rescue(damaged, saved, {name: lost[name] + max(0, copied[name] - saved[name]) for name in tables})


def damaged_files(path: Path) -> list[Path]:
    """Return the damaged files that `rebuild` put beside the store: what is forgotten must be forgotten there too."""
    return sorted(file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(_BESIDE))


def remove_damaged(path: Path) -> None:
    """Remove those files for good. Raises StoreError."""
    with _converted(path):
        for file in damaged_files(path):
            _remove(file)


def _copy(pages: Pages, names: Sequence[str], connection: apsw.Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Copy the rows of these tables; return rows copied and rows lost by table."""
    roots = _roots(pages)
    reached: set[int] = set()
    tables = [_table(connection, name) for name in names]
    cells = {table.name: list(_reachable(pages, roots.get((table.name, "table")), reached)) for table in tables}
    copied, lost = dict[str, int](), dict[str, int]()
    for table in tables:
        orphans = _orphans(pages, reached) if table.checked and table.has_rowid else ()
        found = _sift(table, cells[table.name], orphans)
        copied[table.name] = added = _add(connection, table, found.rows.values())
        named = _named_by_indexes(pages, roots, table, reached)
        lost[table.name] = max(found.lost + len(found.rows) - added, len(named - set(found.rows)))
    return copied, lost


def _add(connection: apsw.Connection, table: _Table, rows: Iterable[tuple[Value, ...]]) -> int:
    """Insert the rows that the table takes; return how many."""
    sql = _SQL["add"].replace("{table}", table.name)
    sql = sql.replace("{columns}", ", ".join(f'"{column}"' for column in table.columns))
    sql = sql.replace("{marks}", ", ".join("?" * len(table.columns)))
    added = 0
    for row in rows:
        with suppress(apsw.ConstraintError):
            connection.execute(sql, row)
            added += 1
    return added


def _sift(table: _Table, cells: Iterable[Cell], orphans: Iterable[Cell]) -> _Found:
    """Return the rows that fit the table, and how many of those that lay in its own tree don't."""
    rows: dict[object, tuple[Value, ...]] = {}
    lost = 0
    for cell in cells:
        row = _row(table, cell)
        if row is None:
            lost += 1
        else:
            rows.setdefault(cell.rowid if table.has_rowid else row, row)
    for cell in orphans:
        row = _row(table, cell)
        if row is not None:
            rows.setdefault(cell.rowid, row)
    return _Found(rows, lost)


def _row(table: _Table, cell: Cell) -> tuple[Value, ...] | None:
    """Return the cell's values as columns are declared; None when it is no row of the table, or a damaged one."""
    if not 0 < len(cell.values) <= len(table.columns):
        return None
    stored = [*cell.values, *table.defaults[len(cell.values) :]]
    row: list[Value] = [None] * len(table.columns)
    for column, value in zip(table.stored, stored, strict=True):
        row[column] = float(value) if column in table.reals and isinstance(value, int) else value
    if table.checked:
        others = [value for at, value in enumerate(row) if at != table.alias and table.columns[at] != CHECKSUM]
        if row[table.columns.index(CHECKSUM)] != row_checksum(table.name, others):
            return None
    if table.alias is not None:
        row[table.alias] = cell.rowid
    return tuple(row)


def _reachable(pages: Pages, root: int | None, reached: set[int]) -> Iterator[Cell]:
    for number in pages.walk(root) if root else ():
        if number not in reached:  # a damaged pointer may lead into another table's tree
            reached.add(number)
            yield from pages.cells(number)


def _orphans(pages: Pages, reached: set[int]) -> Iterator[Cell]:
    for number in range(2, pages.count + 1):
        if number not in reached and pages.kind(number) == TABLE_LEAF:
            yield from pages.cells(number)


def _roots(pages: Pages) -> dict[tuple[str, str], int]:
    """Return where the tree of each table begins, by (name, "table"), and of each index, by (table, index)."""
    roots = {}
    for number in pages.walk(_SCHEMA_ROOT):
        for cell in pages.cells(number):
            match cell.values:
                case [("table" | "index") as kind, str(name), str(table), int(root), *_]:
                    roots[(table, "table" if kind == "table" else f"index {name}")] = root
    return roots


def _named_by_indexes(pages: Pages, roots: dict[tuple[str, str], int], table: _Table, reached: set[int]) -> set[object]:
    """Return the rowids that any index of the table still holds."""
    named: set[object] = set()
    for (owner, kind), root in roots.items():
        if owner == table.name and kind != "table" and table.has_rowid:
            named.update(cell.values[-1] for cell in _reachable(pages, root, reached) if cell.values)
    return named


def _table(connection: apsw.Connection, name: str) -> _Table:
    columns: list[Any] = connection.execute(_SQL["columns"], (name,)).fetchall()
    names, types, places, defaults = zip(*columns, strict=True)
    keys = [at for _, at in sorted((place, at) for at, place in enumerate(places) if place)]
    has_rowid = not connection.execute(_SQL["without_rowid"], (name,)).get
    others = (at for at in range(len(names)) if at not in keys)
    stored = tuple(range(len(names))) if has_rowid else (*keys, *others)
    return _Table(
        name,
        names,
        stored,
        alias=keys[0] if has_rowid and len(keys) == 1 and types[keys[0]].upper() == "INTEGER" else None,
        has_rowid=has_rowid,
        defaults=tuple(connection.execute(_SQL["default"].replace("{default}", defaults[at])).get for at in stored),
        reals=frozenset(at for at, declared in enumerate(types) if declared.upper() == "REAL"),
    )


def _wrong_row(connection: apsw.Connection) -> str | None:
    """Return the first row that its checksum contradicts, in words."""
    names: list[Any] = connection.execute(_SQL["checked_tables"], (CHECKSUM,)).fetchall()
    for (name,) in names:
        table = _table(connection, name)
        for row in connection.execute(_SQL["rows"].replace("{table}", name)):
            others = [value for at, value in enumerate(row) if at != table.alias and table.columns[at] != CHECKSUM]
            if row[table.columns.index(CHECKSUM)] != row_checksum(name, others):
                return f"a row of {name} is damaged"
    return None


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Keep other processes from rebuilding the same store; gives False if one did while this one waited."""
    inode = path.stat().st_ino
    with ExitStack() as closing_folder:
        folder = os.open(path.parent, os.O_RDONLY)
        closing_folder.callback(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield path.stat().st_ino == inode


@contextmanager
def _converted(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "make room for a second store in its folder, and the folder writable"
        raise StoreError(f"{path} is damaged and can't be rebuilt: {error.strerror or error}: {advice}") from error


def _kept(path: Path, now: datetime) -> Path:
    """Give the damaged file its second name, by which it stays, and its log too; return it.

    A rebuild that was cut short gave it one already; its log may have no other name any more.
    """
    for file in damaged_files(path):
        if file.samefile(path):
            return file
    stamp = f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}"
    kept = next(
        name for number in count(1) if not (name := path.with_name(stamp + f".{number}" * (number > 1))).exists()
    )
    if (log := Path(f"{path}-wal")).exists():
        _link(log, Path(f"{kept}-wal"))
    _link(path, kept)
    sync_folder(path.parent)
    return kept


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where a file has but one."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        with source.open("rb") as read, target.open("xb") as written:
            target.chmod(0o600)
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())


def _take_place(new: Path, path: Path) -> None:
    """Move the new store to `path`; the log that belongs to the damaged one goes first, as SQLite would replay it."""
    for suffix in _BESIDE:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    sync_folder(path.parent)
    new.replace(path)
    sync_folder(path.parent)


def _remove(path: Path) -> None:
    for suffix in ("", *_BESIDE):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
