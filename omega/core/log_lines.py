"""Log records as JSON, an object a line; those of one sync share a random number."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

SYNC_ID: ContextVar[int] = ContextVar("omega_sync_id")
"""64 random bits that stand for the sync at hand, and for nothing else: neither its device nor its token."""


class JsonLines(logging.Formatter):
    """Makes a record an object with time, level, logger, message and, where they are known, sync and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (sync := SYNC_ID.get(None)) is not None:
            line["sync"] = f"{sync:016x}"
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
