"""Columns as Postgres takes arrays in binary: made by numpy at once, not number by number.

The format is array_send's of src/backend/utils/adt/arrayfuncs.c: dimensions, flags, the elements' type, a length and a
lower bound, then each element after its own length; all big-endian.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from omega.core.ports import Floats, Integers
    from omega_storage.shard_sums import Doubles

_HEAD, _EMPTY = struct.Struct(">iiIii"), struct.Struct(">iiI")
_INT8, _FLOAT8, _BYTEA = 20, 701, 17
_INTEGER = np.dtype([("length", ">i4"), ("value", ">i8")])
_DOUBLE = np.dtype([("length", ">i4"), ("value", ">f8")])


class Bigints(bytes):
    """A bigint[]."""


class Doubles8(bytes):
    """A float8[]."""


class Byteas(bytes):
    """A bytea[]."""


def column(values: Integers | Doubles | Floats | Sequence[int] | Sequence[bytes]) -> Bigints | Doubles8 | Byteas:
    """Return an array of integers, doubles or bytes, (m, k) doubles in a row; an empty list is one of integers."""
    if not isinstance(values, np.ndarray) and len(values) and isinstance(values[0], bytes):
        parts: list[Any] = [_head(len(values), _BYTEA)]
        for value in values:
            parts += (struct.pack(">i", len(value)), value)  # type: ignore[arg-type]  # bytes, as the first is
        return Byteas(b"".join(parts))
    numbers = np.asarray(values if len(values) else np.empty(0, np.int64)).reshape(-1)
    if numbers.dtype.kind == "f":
        return Doubles8(_head(len(numbers), _FLOAT8) + _elements(numbers, _DOUBLE))
    return Bigints(_head(len(numbers), _INT8) + _elements(numbers, _INTEGER))


def _head(count: int, of: int) -> bytes:
    return _HEAD.pack(1, 0, of, count, 1) if count else _EMPTY.pack(0, 0, of)


def _elements(numbers: Any, kind: np.dtype[Any]) -> bytes:
    rows = np.empty(len(numbers), kind)
    rows["length"], rows["value"] = 8, numbers
    return rows.tobytes()


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


class _BigintsDumper(_ColumnDumper):
    oid = 1016


class _DoublesDumper(_ColumnDumper):
    oid = 1022


class _ByteasDumper(_ColumnDumper):
    oid = 1001


def register(connection: psycopg.Connection[Any]) -> None:
    """Let a connection take columns."""
    for kind, dumper in ((Bigints, _BigintsDumper), (Doubles8, _DoublesDumper), (Byteas, _ByteasDumper)):
        connection.adapters.register_dumper(kind, dumper)
