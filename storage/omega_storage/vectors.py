"""What may go into a vector store, checked where it comes in: messages say found, allowed, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omega.core.ports import Floats, VectorRow, Where

MAX_INTEGER = 2**63 - 1
UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a vector may be; it is brought to 1 before it is kept."""

MAX_ATTRIBUTES = 16
"""vec0 keeps no more metadata columns."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED = {"id", "vector", "rowid", "distance", "k"}


def checked_names(table: str, attributes: Sequence[str]) -> None:
    """Raise InputError for a name that can't be a table's or an attribute's, here or in another store."""
    for name in (table, *attributes):
        if not _NAME.fullmatch(name) or name in _RESERVED:
            allowed = f"a-z, 0-9 and _, and not {', '.join(sorted(_RESERVED))}"
            raise InputError(f"{name!r} can't be an attribute or table, allowed: {allowed}: rename it")
    if len(set(attributes)) != len(attributes) or len(attributes) > MAX_ATTRIBUTES:
        raise InputError(f"attributes are {list(attributes)}, allowed: {MAX_ATTRIBUTES} different ones: drop some")


def unit_vector(values: object, dimensions: int, what: str) -> Floats:
    """Return `values` as (dimensions,) float32 of length 1; raises InputError for another shape or length, or NaN."""
    try:
        vector = np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} is {shown(values)}, allowed: {dimensions} numbers: embed the text") from error
    if vector.shape != (dimensions,):
        raise InputError(f"{what} has shape {vector.shape}, allowed: ({dimensions},): embed it in the store's space")
    length = float(np.sqrt(vector @ vector))
    if not abs(length - 1) <= UNIT_TOLERANCE:  # written so that NaN is refused
        raise InputError(f"{what} has length {length:.4g}, allowed: 1 +- {UNIT_TOLERANCE}: divide it by its length")
    return vector if abs(length - 1) < 1e-6 else vector / np.float32(length)


def row_values(row: VectorRow, names: Sequence[str]) -> tuple[int, ...]:
    """Return the row's attributes in the order of `names`, all of which it has, and no others; raises InputError."""
    if not 0 <= row.id <= MAX_INTEGER:
        raise InputError(f"id is {row.id}, allowed: 0..2^63-1: take pattern_id()")
    if set(row.attributes) != set(names):
        raise InputError(f"row {row.id} has attributes {_listed(row.attributes)}, allowed: {_listed(names)}: give each")
    return tuple(checked_integer(name, row.attributes[name]) for name in names)


def known_attributes(given: Mapping[str, object] | None, names: Sequence[str]) -> None:
    """Raise InputError when a name is given that isn't one of the store's."""
    if given and not set(given) <= set(names):
        raise InputError(f"attributes are {_listed(given)}, allowed: {_listed(names)}: leave out the others")


def filter_bounds(where: Where | None, names: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return (name, least, greatest) for each attribute in `where`; raises InputError for an unknown one."""
    known_attributes(where, names)
    return [
        (name, checked_integer(name, low), checked_integer(name, high)) for name, (low, high) in (where or {}).items()
    ]


def search_size(k: int) -> int:
    """Return `k`; raises InputError below 1."""
    if k < 1:
        raise InputError(f"k is {k}, allowed: 1 and more: ask for at least one")
    return k


def checked_integer(name: str, value: int) -> int:
    """Return `value`; raises InputError beyond 64 bits."""
    if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        raise InputError(f"{name} is {value}, allowed: -2^63..2^63-1: scale it down")
    return int(value)


def _listed(names: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "none"
