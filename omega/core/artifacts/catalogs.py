"""Catalog epochs as artifacts: a newer epoch of the same family is taken, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.artifacts.manifest import LIMIT_BYTES, Kind
from omega.core.catalog import Catalog
from omega.core.errors import CatalogError

if TYPE_CHECKING:
    from omega.core.artifacts.accepted import Accepted


def apply_catalog(current: Catalog, data: bytes) -> Catalog:
    """Return the catalog of a file's bytes, if it is a later epoch of `current`. Raises CatalogError.

    All titles of `current` stand in it first, in their order, whatever else of them was corrected.
    """
    return later_catalog(current, decode_catalog(data))


def later_catalog(current: Catalog, newer: Catalog) -> Catalog:
    """Return `newer` if it is a later epoch of `current`. Raises CatalogError."""
    if newer.lineage != current.lineage:
        raise CatalogError(
            f"catalog has lineage {newer.lineage}, allowed: {current.lineage}: build it with the one before"
        )
    if newer.epoch <= current.epoch:
        raise CatalogError(f"catalog has epoch {newer.epoch}, allowed: {current.epoch + 1} and more: add titles")
    if newer.epochs[: len(current.epochs)] != current.epochs:
        raise CatalogError(
            f"catalog has another past than epoch {current.epoch} of {current.lineage}: add titles at the end only"
        )
    return newer


def accepted_catalog(current: Catalog, accepted: Accepted) -> Catalog:
    """Return the later epoch of `current` that the TV has taken, or `current` when there is none or it is damaged."""
    data = accepted.read(Kind.CATALOG, current.lineage)
    try:
        return current if data is None else apply_catalog(current, data)
    except CatalogError:
        return current


def decode_catalog(data: bytes) -> Catalog:
    """Return the catalog of a file's bytes. Raises CatalogError, before decoding when there are too many."""
    if len(data) > LIMIT_BYTES[Kind.CATALOG]:
        raise CatalogError(f"catalog is {len(data):,} B, allowed: {LIMIT_BYTES[Kind.CATALOG]:,} B: split it")
    return Catalog.decode(data, "catalog")
