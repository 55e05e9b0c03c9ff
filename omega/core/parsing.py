"""JSON from outside, made into events and contexts: bounded, decoded strictly, checked field by field.

A refusal names the field, the value that was found and the range that is allowed, whatever layer noticed it.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from omega.core.clock import MachineZone
from omega.core.errors import InputError, on_one_line, shown
from omega.core.text import is_plain
from omega.core.types import ContentType, DayType, TimeSlot, ViewContext, ViewingEvent, slot_at, slot_of, time_and_day

if TYPE_CHECKING:
    from datetime import tzinfo
    from enum import StrEnum

T = TypeVar("T")

MAX_JSON_BYTES = 65_536
"""One event or context is refused beyond this, before it is decoded."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No viewing event is older; none is more than a day ahead of the clock."""
_AHEAD = timedelta(days=1)

_NUMBERS = {
    "watch_pct": (0, 1),
    "minutes": (0, 1440),
    "season": (0, 1000),
    "episode": (0, 100_000),
    "max_age": (0, 150),
    "age": (0, 150),
}
_TEXTS = {"content_id": 128, "title": 200, "mood": 64, "genres": 32, "profile": 32}
_MAX_GENRES = 8


def _one_of(names: type[StrEnum]) -> str:
    return "one of " + ", ".join(names)


_ALLOWED = {
    **{name: f"a number {low}..{high}" for name, (low, high) in _NUMBERS.items()},
    **{name: f"text of 1..{length} characters, no control characters" for name, length in _TEXTS.items()},
    "genres": f"a list of at most {_MAX_GENRES} texts of 1..{_TEXTS['genres']} characters",
    "at": f"a time like 2026-11-21T20:30:00+01:00, {EARLIEST.year} to tomorrow",
    "time": _one_of(TimeSlot),
    "day": _one_of(DayType),
    "kind": _one_of(ContentType),
    "liked": "true or false",
}


def parse_event(data: bytes | str) -> ViewingEvent:
    """Return the event in one JSON object; its values are checked when it is observed. Raises InputError."""
    return _decoded(data, ViewingEvent, "event")


def parse_context(data: bytes | str) -> ViewContext:
    """Return the context in one JSON object; its mood is checked when it is used. Raises InputError."""
    return _decoded(data, ViewContext, "context")


def check_event(event: ViewingEvent, *, now: datetime, ahead: bool = True) -> ViewingEvent:
    """Return the event with `at` in a zone (that of `now`, which is aware, if it names none), or raise InputError.

    Without `ahead` the clock isn't set, so that no `at` is too late.
    """
    for name in ("watch_pct", "minutes", "season", "episode"):
        _check_number(name, getattr(event, name))
    for name in ("content_id", "title", "profile"):
        _check_text(name, getattr(event, name))
    if len(event.genres) > _MAX_GENRES:
        raise _refused("genres", event.genres)
    for genre in event.genres:
        _check_text("genres", genre)
    if event.watch_pct is None and event.minutes is None:
        raise InputError("watch_pct is missing, allowed: a number 0..1: give it, or minutes")
    at = event.at or now
    if abs(at.year - now.year) > now.year - EARLIEST.year:  # no zone's rules reach to the years 1 and 9999
        raise _refused("at", at.isoformat())
    at = at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
    if not at >= EARLIEST or (ahead and at > now + _AHEAD):
        raise _refused("at", at.isoformat())
    return msgspec.structs.replace(event, at=at)


def check_context(context: ViewContext) -> ViewContext:
    """Return the context, or raise InputError."""
    _check_text("mood", context.mood)
    _check_text("profile", context.profile)
    _check_number("max_age", context.max_age)
    return context


def check_profile(name: str, age: int | None) -> None:
    """Raise InputError when a profile can't have this name or age limit."""
    _check_text("profile", name)
    _check_number("age", age)


def parse_moment(name: str, text: str, zone: tzinfo | None) -> int:
    """Return a time like 2026-03-01 or 2026-03-01T20:30+01:00 in unix seconds. Raises InputError.

    Where it names no zone, `zone` is meant; None is the machine's.
    """
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone or MachineZone())).timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{name} is {shown(text)}, allowed: a time like 2026-03-01 or 2026-03-01T20:30") from error


def completed(context: ViewContext, now: datetime) -> tuple[int, ViewContext]:
    """Return the context's slot, and the context with time and day filled in from `now`, which is local time."""
    time, day = time_and_day(slot_at(now))
    time, day = context.time or time, context.day or day
    return slot_of(time, day), msgspec.structs.replace(context, time=time, day=day)


def _check_number(name: str, value: float | None) -> None:
    low, high = _NUMBERS[name]
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise _refused(name, value)


def _check_text(name: str, value: str | None) -> None:
    if value is not None and not (0 < len(value.strip()) <= len(value) <= _TEXTS[name] and is_plain(value)):
        raise _refused(name, value)


def _refused(field: str, value: object) -> InputError:
    return InputError(f"{field} is {shown(value)}, allowed: {_ALLOWED[field]}")


def _decoded(data: bytes | str, kind: type[T], what: str) -> T:
    raw = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_JSON_BYTES:
        raise InputError(f"{what} is {len(raw):,} B, allowed {MAX_JSON_BYTES:,} B: give one JSON object at a time")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _explained(raw, kind, what, str(error)) from error


def _explained(raw: bytes, kind: type, what: str, message: str) -> InputError:
    """Say which field a decoder's message is about, what stood there and what may."""
    if number := re.search(rb'"(\w+)"\s*:\s*(-?(?:NaN|Infinity))\b', raw):
        field, found = number[1].decode(), number[2].decode()
        return InputError(f"{field} is {found}, allowed: {_ALLOWED.get(field, 'a finite number')}")
    if path := re.search(r" - at `\$\.(\w+)[^`]*`$", message):
        found = re.search(rb'"%b"\s*:\s*([^,}\]]{0,60})' % path[1].encode(), raw)
        value = on_one_line(found[1].decode(errors="replace")) if found else "?"
        return InputError(f"{path[1]} is {value}, allowed: {_ALLOWED[path[1]]}")
    names = ", ".join(field.name for field in msgspec.structs.fields(kind))
    if unknown := re.search(r"unknown field `(.*)`", message):
        return InputError(f"{what} has the field {shown(unknown[1])}, allowed: {names}")
    if missing := re.search(r"missing required field `(\w+)`", message):
        return InputError(f"{missing[1]} is missing, allowed: {_ALLOWED[missing[1]]}")
    return InputError(f"{what} is {shown(raw.decode(errors='replace'))}, allowed: one JSON object with {names}")
