"""What stands in a frame's body: sections of id, length and payload, ids ascending.

An id that a receiver doesn't know: odd, it refuses the frame; even, it passes the section over.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from omega.core.errors import WireCode, WireError
from omega.core.wire import entries
from omega.core.wire.messages import TASTE_BYTES, Ack, Kind, Pull, Push, Reason
from omega.core.wire.numbers import checked, put_varint
from omega.core.wire.rows import put_rows, read_rows
from omega.core.wire.trials import put_trials, read_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from omega.core.wire.messages import Message
    from omega.core.wire.numbers import Reader

    Fields: TypeAlias = dict[str, Any]
    Parts: TypeAlias = Iterator[tuple[int, bytes | bytearray]]

_U32 = (1 << 32) - 1
_NEEDED = {Kind.ACK: "behind", Kind.RESYNC: "reason"}
"""A field of the section that a kind can't do without."""


def put_sections(out: bytearray, message: Message) -> None:
    """Append all sections of a message that aren't empty. Raises WireError for a field out of its range."""
    for number, payload in _parts(message):
        put_varint(out, number)
        put_varint(out, len(payload))
        out += payload


def read_sections(reader: Reader, kind: Kind) -> Fields:
    """Return the message's fields that stand in sections. Raises WireError."""
    known = _READERS[kind]
    fields: Fields = {}
    last = 0
    while reader.at < reader.end:
        number = reader.varint("section id")
        if number <= last:
            raise WireError(WireCode.SECTION, f"section {number} stands behind {last}: sort sections, each once")
        last = number
        name = f"section {number}"
        outer = reader.enter(reader.varint(f"length of {name}"), name)
        if number in known:
            known[number](reader, fields)
        elif number % 2:
            raise WireError(WireCode.SECTION, f"{name} of a {kind.name} is unknown and must not be: update omega")
        else:
            reader.take(reader.end - reader.at, f"{name}, unknown and passed over")
        reader.leave(outer, name)
    if kind in _NEEDED and _NEEDED[kind] not in fields:
        raise WireError(WireCode.SECTION, f"section 1 of a {kind.name} is missing: send it")
    return fields


def _parts(message: Message) -> Parts:
    if isinstance(message, Push):
        yield from _push(message)
    elif isinstance(message, Pull):
        yield from _pull(message)
    elif isinstance(message, Ack):
        behind = checked(message.version - message.horizon, "versions since the horizon", message.version)
        yield 1, put_state(behind, message.retry_after_s, message.next_sync_s, similar_allowed=message.similar_allowed)
        if message.resolved:
            entries.put_resolved(payload := bytearray(), message.resolved)
            yield 3, payload
    else:
        yield 1, bytes([Reason(message.reason)])


def _push(push: Push) -> Parts:
    for number, rows in ((1, push.contributed), (5, push.retracted)):
        hashed = [row for row in rows if row.hashed]
        known = [row for row in rows if not row.hashed] if hashed else rows
        if known:
            put_rows(payload := bytearray(), known, hashed=False)
            yield number, payload
        if hashed:
            put_rows(payload := bytearray(), hashed, hashed=True)
            yield number + 2, payload
    if push.asks:
        checked(len(push.asks), "length of a taste code", TASTE_BYTES, TASTE_BYTES)
        yield 8, push.asks
    for number, trials in ((16, push.trials), (18, push.trials_retracted)):
        if trials:
            put_trials(payload := bytearray(), trials)
            yield number, payload


def _pull(pull: Pull) -> Parts:
    puts: tuple[tuple[int, Callable[[bytearray, Any], None], Any], ...] = (
        (1, entries.put_trends, pull.trending),
        (3, entries.put_similar, pull.similar),
        (5, entries.put_removed, pull.removed),
        (6, entries.put_artifacts, pull.artifacts),
    )
    for number, put, values in puts:
        if values:
            put(payload := bytearray(), values)
            yield number, payload


def put_state(behind: int, retry_after_s: int, next_sync_s: int, *, similar_allowed: bool) -> bytes:
    """Return the section that every ACK has; the first number is checked. Raises WireError."""
    payload = bytearray()
    put_varint(payload, behind)
    put_varint(payload, checked(retry_after_s, "retry_after_s", _U32))
    put_varint(payload, checked(next_sync_s, "next_sync_s", _U32))
    payload.append(similar_allowed)
    return bytes(payload)


def _read_state(reader: Reader, fields: Fields) -> None:
    fields["behind"] = reader.varint("versions since the horizon")
    fields["retry_after_s"] = reader.varint("retry_after_s", _U32)
    fields["next_sync_s"] = reader.varint("next_sync_s", _U32)
    fields["similar_allowed"] = bool(_byte(reader, "similar_allowed", 0, 1))


def _read_reason(reader: Reader, fields: Fields) -> None:
    fields["reason"] = Reason(_byte(reader, "reason", min(Reason), max(Reason)))


def _byte(reader: Reader, what: str, least: int, most: int) -> int:
    return checked(reader.fixed(1, what), what, most, least)


def _read_push_rows(reader: Reader, fields: Fields, *, name: str, hashed: bool) -> None:
    rows = tuple(read_rows(reader, hashed=hashed))
    fields[name] = fields[name] + rows if name in fields else rows


def _read_question(reader: Reader, fields: Fields) -> None:
    fields["asks"] = reader.take(TASTE_BYTES, "taste code that is asked with")


def _into(name: str, read: Callable[[Reader], Any]) -> Callable[[Reader, Fields], None]:
    def reading(reader: Reader, fields: Fields) -> None:
        fields[name] = read(reader)

    return reading


_READERS: Mapping[Kind, Mapping[int, Callable[[Reader, Fields], None]]] = {
    Kind.PUSH: {
        1: partial(_read_push_rows, name="contributed", hashed=False),
        3: partial(_read_push_rows, name="contributed", hashed=True),
        5: partial(_read_push_rows, name="retracted", hashed=False),
        7: partial(_read_push_rows, name="retracted", hashed=True),
        8: _read_question,
        16: _into("trials", read_trials),
        18: _into("trials_retracted", read_trials),
    },
    Kind.ACK: {1: _read_state, 3: _into("resolved", entries.read_resolved)},
    Kind.RESYNC: {1: _read_reason},
    Kind.PULL: {
        1: _into("trending", entries.read_trends),
        3: _into("similar", entries.read_similar),
        5: _into("removed", entries.read_removed),
        6: _into("artifacts", entries.read_artifacts),
    },
}
