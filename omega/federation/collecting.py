"""Asking all shards at once for their sums, each within one deadline; what is wrong with one is told of that one.

A shard that gives no answer is told with its last one, for KEPT_S: its titles don't vanish because it restarts.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec

from omega.core.errors import InputError, OmegaError, SumsError, TransportError, shown
from omega.core.files import read_bounded, write_atomically
from omega.core.shard_sums import MAX_FILE_BYTES, check_kin, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.shard_sums import ShardSums

PATH = "/api/v1/sums"
KEPT_S = 6 * 3600
"""An older answer of a shard counts no more, whether it was kept or is given."""
AHEAD_S = 3600
_CHUNK_BYTES = 1 << 16


class Source(NamedTuple):
    """One shard's sums, and how to get them."""

    name: str
    """Its address or file; without a password."""
    read: Callable[[float], bytes]
    """Returns the file within so many seconds. Raises OmegaError."""


class ShardReport(msgspec.Struct, frozen=True):
    """What became of one source."""

    source: str
    outcome: str
    """`counted`; `kept` when its last answer counts; else one word for why not: late, nan, lineage, twice ..."""
    reason: str = ""
    """In words, where it wasn't counted as it is."""
    shard: int | None = None
    region: str = ""
    epoch: int = 0
    rows: int = 0
    size_bytes: int = 0
    seconds: float = 0.0


class Collected(NamedTuple):
    """What came."""

    shards: list[ShardSums]
    """By number, each once."""
    reports: list[ShardReport]
    """In the order of the sources."""

    @property
    def answered(self) -> int:
        """How many were counted as they are."""
        return sum(report.outcome == "counted" for report in self.reports)


class Kin(NamedTuple):
    """What sums must be of to be added up."""

    catalog: Catalog
    space: int

    @property
    def counts(self) -> Mapping[int, int]:
        """How many titles each epoch has."""
        return {epoch.epoch: epoch.count for epoch in self.catalog.epochs}


def collect(sources: Sequence[Source], kin: Kin, kept: Path, *, deadline_s: float, now: float) -> Collected:
    """Ask all sources at once, and wait no longer than the deadline; `kept` is the folder of last answers."""
    asked = [_Asked(source, deadline_s) for source in sources]
    ends_s = time.monotonic() + deadline_s
    for one in asked:
        one.thread.join(max(ends_s - time.monotonic(), 0))
    found: dict[int, ShardSums] = {}
    reports = []
    for one in asked:
        report, sums = _judged(one, kin, kept, now)
        if sums is not None and sums.facts.shard in found:
            told = f"shard {sums.facts.shard} stands twice, allowed: once: {one.source.name} isn't counted"
            report, sums = _report(one, "twice", told, sums), None
        if sums is not None:
            found[sums.facts.shard] = sums
        reports.append(report)
    return Collected([found[shard] for shard in sorted(found)], reports)


class _Asked:
    """A question under way, in a thread that nobody waits for once it is late."""

    def __init__(self, source: Source, deadline_s: float) -> None:
        self.source, self.seconds = source, 0.0
        self.data: bytes | None = None
        self.error: Exception | None = None
        self._deadline_s = deadline_s
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        began_s = time.monotonic()
        try:
            data = self.source.read(self._deadline_s)
        except Exception as error:  # noqa: BLE001  (told by who waits)
            self.error = error
        else:
            self.seconds, self.data = time.monotonic() - began_s, data


def _judged(one: _Asked, kin: Kin, kept: Path, now: float) -> tuple[ShardReport, ShardSums | None]:
    file = kept / f"{sha256(one.source.name.encode()).hexdigest()[:32]}.sums"
    data, error = one.data, one.error
    try:
        if error is not None:
            raise error
        if data is None:
            raise TransportError("no answer within the deadline: ask later, or allow more time")
        sums = _sound(data, kin, now)
    except OmegaError as fault:
        outcome = fault.reason if isinstance(fault, SumsError) else "unreachable" if error else "late"
        last = _last(file, kin, now)
        if last is None:
            return _report(one, outcome, str(fault)), None
        told = f"{outcome}: {fault}; its answer of {round(now - last.facts.made_at)} s ago counts"
        return _report(one, "kept", told, last), last
    write_atomically(file, data or b"", mode=0o600)
    return _report(one, "counted", "", sums), sums


def _sound(data: bytes, kin: Kin, now: float) -> ShardSums:
    """Return sums that may be added up. Raises SumsError."""
    sums = decode(data)
    check_kin(sums.facts, kin.catalog.lineage, kin.counts, kin.space)
    if not -AHEAD_S <= now - sums.facts.made_at <= KEPT_S:
        told = f"sums are {round(now - sums.facts.made_at):,} s old"
        raise SumsError("stale", f"{told}, allowed: {-AHEAD_S}..{KEPT_S}: make them anew, and look at the clocks")
    if abs(sums.facts.day - sums.facts.made_at // 86_400) > 1:
        raise SumsError("stale", f"day is {sums.facts.day}, allowed: that of their making: look at the shard's clock")
    return sums


def _last(file: Path, kin: Kin, now: float) -> ShardSums | None:
    """Return a source's last answer, None when there is none that counts still."""
    try:
        return _sound(read_bounded(file, MAX_FILE_BYTES), kin, now)
    except InputError:
        return None


def _report(one: _Asked, outcome: str, reason: str, sums: ShardSums | None = None) -> ShardReport:
    told = ShardReport(one.source.name, outcome, reason, size_bytes=len(one.data or b""), seconds=round(one.seconds, 3))
    if sums is None:
        return told
    facts = sums.facts
    return msgspec.structs.replace(
        told, shard=facts.shard, region=facts.region, epoch=facts.epoch, rows=len(sums.columns.title)
    )


def file_source(path: Path) -> Source:
    """Return a file that omega shard sums wrote."""
    return Source(str(path), lambda deadline_s: read_bounded(path, MAX_FILE_BYTES))


def url_source(url: str, token: str, ca: Path | None = None) -> Source:
    """Return a shard's management at http:// or https:// and an address. Raises InputError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise InputError(f"shard is {shown(url)}, allowed: http:// or https:// and an address, a file, or a store")
    if any(char <= " " or char > "~" for char in token):
        raise InputError("token has characters that no token has: give the file that omega shard admin wrote")
    context = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
    return Source(url, lambda deadline_s: _fetched(parts.scheme, parts.netloc, parts.path, token, context, deadline_s))


def _fetched(
    scheme: str, where: str, path: str, token: str, context: ssl.SSLContext | None, deadline_s: float
) -> bytes:
    ends_s = time.monotonic() + deadline_s
    connection = (
        http.client.HTTPSConnection(where, timeout=deadline_s, context=context)
        if scheme == "https"
        else http.client.HTTPConnection(where, timeout=deadline_s)
    )
    try:
        connection.request("GET", path.rstrip("/") + PATH, headers={"authorization": f"Bearer {token}"})
        with connection.getresponse() as response:
            data = _body(response, ends_s, deadline_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransportError(f"{where} can't be asked ({type(error).__name__}: {shown(str(error))})") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        told = {401: "the token doesn't count", 403: "the token is of another role than federation"}
        raise TransportError(f"{where} answers {response.status}, {told.get(response.status, 'allowed: 200')}")
    return data


def _body(response: http.client.HTTPResponse, ends_s: float, deadline_s: float) -> bytes:
    """Return the whole body. Raises SumsError for too long a one, TransportError for one that ends early or late."""
    parts: list[bytes] = []
    size = 0
    while chunk := response.read1(_CHUNK_BYTES):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise SumsError("size", f"answer is above {MAX_FILE_BYTES:,} B, allowed: {MAX_FILE_BYTES:,} B")
        if time.monotonic() > ends_s:
            raise TransportError(f"answer isn't whole after {deadline_s:g} s: ask later, or allow more time")
    if response.length:
        raise TransportError(f"answer ends {response.length:,} B early: ask later")
    return b"".join(parts)
