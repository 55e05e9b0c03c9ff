"""SQLite as apsw brings it, since many Python builds can't load extensions into theirs, and sqlite-vec."""

from __future__ import annotations

from omega.core.errors import MissingExtraError

try:
    import apsw
    import sqlite_vec  # type: ignore[import-untyped]
except ImportError as missing:
    raise MissingExtraError(missing.name or "apsw", "device") from missing

__all__ = ["apsw", "sqlite_vec"]
