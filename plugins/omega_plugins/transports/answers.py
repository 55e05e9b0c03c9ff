"""What holds on every transport: what a shard answers to a path, and what a client makes of a refusal."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import TransportError, on_one_line
from omega.core.ports import ARTIFACTS, HEALTH, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omega.core.ports import SyncApp

OK, PART, UNCHANGED = 200, 206, 304
RETRY_AFTER = "retry-after"
MAX_RETRY_AFTER_S = 86_400
_REASON_CHARS = 200
_NAME = re.compile(r"[0-9a-f]{64}|[0-9a-f]{32}-[1-9][0-9]{0,15}\.json")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_TEMPORARY = frozenset({401, 408, 409, 425, 429, 500, 502, 503, 504, 507})
_ABSENT = frozenset({404, 410, 416})
_DO = {
    401: "renew the token, or enrol again",
    404: "check the address",
    413: "send less",
    429: "ask less often",
    503: "ask later",
}


class Stretch(msgspec.Struct, frozen=True):
    """Bytes `start`..`stop` of a file that are the body of an answer."""

    file: Path
    start: int
    stop: int
    reply: Reply
    """Status and headers."""


def answer(app: SyncApp, path: str, *, if_none_match: str = "", asked: str = "") -> Reply | Stretch:
    """Return what a GET brings; `asked` is a Range header as in RFC 9110, of which one range of bytes is honored."""
    if path == HEALTH:
        return app.health()
    name = path.removeprefix(ARTIFACTS)
    file = app.artifact(name) if path.startswith(ARTIFACTS) and _NAME.fullmatch(name) else None
    if file is None:
        return refusal(404, f"there is nothing at {path[:100]}, allowed: {ARTIFACTS} and a file's name, {HEALTH}")
    etag = f'"{name}"'
    headers = (("etag", etag), ("cache-control", "public, max-age=31536000, immutable"), ("accept-ranges", "bytes"))
    if if_none_match.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in if_none_match.split(",")):
        return Reply(UNCHANGED, b"", headers)
    size_bytes = file.stat().st_size
    span = _span(asked, size_bytes)
    if span is None:
        return Stretch(file, 0, size_bytes, Reply(OK, b"", headers))
    if not span:
        return refusal(416, f"{asked[:50]} is no part of {size_bytes} B", (("content-range", f"bytes */{size_bytes}"),))
    told = (("content-range", f"bytes {span.start}-{span.stop - 1}/{size_bytes}"),)
    return Stretch(file, span.start, span.stop, Reply(PART, b"", headers + told))


def _span(asked: str, size_bytes: int) -> range | None:
    """Return the bytes that a Range header asks for, none of them if there are none; None: all, as without one."""
    found = _RANGE.fullmatch(asked.strip())
    if not found or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size_bytes - int(last)), size_bytes)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1 if last else size_bytes, size_bytes))


def refusal(status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a refusal with its reason as text."""
    return Reply(status, reason.encode(errors="replace"), (("content-type", "text/plain; charset=utf-8"), *headers))


def refused(where: str, status: int, headers: Mapping[str, str], body: bytes) -> TransportError:
    """Return the error of an answer that isn't the one that was hoped for."""
    reason = on_one_line(body[:_REASON_CHARS].decode(errors="replace"))
    if 300 <= status < 400:
        reason = f"it sends on to {on_one_line(headers.get('location', 'nowhere')[:_REASON_CHARS])}"
    told = f"{where} answered {status}{': ' if reason else ''}{reason}; {_DO.get(status, 'see its log')}"
    return TransportError(
        told,
        permanent=status not in _TEMPORARY,
        retry_after_s=retry_after_s(headers.get(RETRY_AFTER, "")),
        token_refused=status == 401,
        absent=status in _ABSENT,
    )


def retry_after_s(text: str) -> float | None:
    """Return the seconds that a Retry-After header names, 0..86,400, in figures or as a date; None without sense."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), MAX_RETRY_AFTER_S))
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  (5 ms that a listing of plugins doesn't need)

    try:
        left_s = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(left_s, 0.0), MAX_RETRY_AFTER_S)


def too_long(what: str, size_bytes: int, limit_bytes: int) -> TransportError:
    """Return the error of something beyond a limit; asking again doesn't make it shorter."""
    return TransportError(
        f"{what} is {size_bytes:,} B, allowed: {limit_bytes:,} B: ask for less, or for a part", permanent=True
    )
