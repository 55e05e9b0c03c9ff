"""The built-in vector store of the cloud and of tools: a table of vectors in Postgres, by pgvector.

It reads every row that the filter leaves, so its answers are exact: 100,000 x 384 take 70 ms. Approximate search over
what a shard shows is the shard store's own, see `SqlShardStore.nearest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.errors import InputError, MissingExtraError
from omega.core.hooks import hookimpl
from omega.core.ports import VectorStore
from omega_storage.matrix import ranked
from omega_storage.vectors import (
    checked_integer,
    checked_names,
    filter_bounds,
    row_values,
    search_size,
    unit_vector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from omega.core.ports import Floats, Hit, VectorRow, Where
    from omega_storage.pgvector_table import PgvectorTable

MAX_DIMENSIONS = 16_000
"""pgvector's limit."""
_SPARE = 16
"""How many more rows than asked for Postgres is to find: it compares in float32."""


@hookimpl
def omega_vector_stores() -> list[type[VectorStore]]:
    """Register the store under its name."""
    return [PgvectorStore]


class PgvectorStore(VectorStore):
    """Vectors in one table of a Postgres database with pgvector, searched exactly.

    One thread at a time; other sessions may use the same table. What they commit is seen by the next call.
    """

    NAME = "pgvector"

    def __init__(self, rows: PgvectorTable, dimensions: int, attributes: Sequence[str]) -> None:
        """Take over a table of these dimensions and attributes, which `close` lets go of."""
        self.dimensions, self.attributes = dimensions, tuple(attributes)
        self._rows = rows

    @classmethod
    def open(cls, location: str, *, dimensions: int, attributes: Sequence[str] = (), table: str = "vectors") -> Self:
        """Open or create a table at postgresql://user@host/database.

        The extension is added where this user may. Raises MissingExtraError, InputError, and StoreError when the table
        holds other dimensions or attributes.
        """
        checked_names(table, attributes)
        if not 0 < dimensions <= MAX_DIMENSIONS:
            raise InputError(f"dimensions are {dimensions}, allowed: 1..{MAX_DIMENSIONS}: take another embedder")
        try:
            from omega_storage.pgvector_table import PgvectorTable  # noqa: PLC0415  (psycopg: a listing needs none)
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "psycopg", "postgres") from error
        return cls(PgvectorTable(location, table, dimensions, attributes), dimensions, attributes)

    def upsert(self, rows: Iterable[VectorRow]) -> None:
        """Insert or replace rows by id, all or none; raises InputError for what doesn't fit, and StoreError."""
        checked = {row.id: self._checked(row) for row in rows}
        self._rows.upsert((row_id, *checked[row_id]) for row_id in sorted(checked))

    def search(self, query: Floats, k: int, where: Where | None = None) -> list[Hit]:
        """Return the `k` nearest rows among those that satisfy `where`, best first, ties by id."""
        unit = unit_vector(query, self.dimensions, "query")
        bounds = filter_bounds(where, self.attributes)
        ids, vectors = self._rows.nearest(unit, search_size(k) + _SPARE, bounds)
        return ranked(ids, vectors, unit, k)

    def remove(self, ids: Iterable[int]) -> int:
        """Remove rows and return how many there were; their bytes stay in the table's file until `compact`."""
        return self._rows.remove(sorted({checked_integer("id", row_id) for row_id in ids}))

    def count(self, where: Where | None = None) -> int:
        """Return how many rows satisfy `where`."""
        return self._rows.count(filter_bounds(where, self.attributes))

    def compact(self) -> None:
        """Write the table anew, so that no byte of a removed row is left in its file.

        The server's log holds some until it is reused. Raises StoreError while another session reads.
        """
        self._rows.rewrite()

    def close(self) -> None:
        """End the session."""
        self._rows.close()

    def _checked(self, row: VectorRow) -> tuple[Floats, tuple[int, ...]]:
        values = row_values(row, self.attributes)
        return unit_vector(row.vector, self.dimensions, f"vector of row {row.id}"), values
