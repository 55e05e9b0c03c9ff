"""Many events at once: each bad one is named with its place, the good ones are kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import msgspec

from omega.core.errors import InputError, StoreError
from omega.core.parsing import MAX_JSON_BYTES, parse_event
from omega.device.results import Observed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from omega.core.types import ViewingEvent


class Observer(Protocol):
    """A brain, or a daemon's client."""

    def observe(self, event: ViewingEvent) -> Observed:
        """Learn from an event."""


class Rejected(msgspec.Struct, frozen=True):
    """An event that was left out."""

    place: str
    reason: str


class Batch(msgspec.Struct, frozen=True):
    """What became of many events."""

    observed: tuple[Observed, ...]
    rejected: tuple[Rejected, ...]
    stopped: Rejected | None = None
    """The event at which the store failed; it and all after it were not stored."""


def observe_all(brain: Observer, events: Iterable[tuple[str, bytes | InputError]]) -> Batch:
    """Observe (place, JSON) pairs in order; each is stored or rejected on its own, as is a source with an error.

    When the store fails, it stops and says where.
    """
    observed: list[Observed] = []
    rejected: list[Rejected] = []
    for place, data in events:
        try:
            observed.append(brain.observe(_parsed(data)))
        except InputError as error:
            rejected.append(Rejected(place, str(error)))
        except StoreError as error:
            return Batch(tuple(observed), tuple(rejected), Rejected(place, str(error)))
    return Batch(tuple(observed), tuple(rejected))


def read_events(sources: Iterable[str]) -> Iterator[tuple[str, bytes | InputError]]:
    """Give (place, JSON) of sources that are JSON objects, files of JSON lines, or - for standard input.

    A file that can't be read gives its error in the place of JSON.
    """
    for number, source in enumerate(sources, 1):
        if source.lstrip().startswith("{"):
            yield f"event {number}", source.encode(errors="surrogateescape")
        elif source == "-":
            yield from _lines(sys.stdin.buffer, "stdin")
        else:
            try:
                with Path(source).open("rb") as file:
                    yield from _lines(file, Path(source).name)
            except OSError as error:
                yield source, InputError(f"the file can't be read: {error.strerror}")


def _parsed(data: bytes | InputError) -> ViewingEvent:
    if isinstance(data, InputError):
        raise data
    return parse_event(data)


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[str, bytes]]:
    """Give the lines that aren't blank; of one beyond the limit only what shows that it is too long."""
    number = 0
    while line := file.readline(MAX_JSON_BYTES + 2):
        number += 1
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_JSON_BYTES)
        if line.strip() or len(line) > MAX_JSON_BYTES:
            yield f"{name} line {number}", line.rstrip(b"\r\n")
