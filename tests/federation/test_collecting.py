"""Shards that answer garbage, too much, too slowly, as somebody else or never are named, and the others count."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from omega.core.errors import InputError, TransportError
from omega.federation.collecting import KEPT_S, PATH, Source, collect, file_source, url_source
from tests.federation.making import CATALOG, DAY, FIRST, KIN, NOW, source, sums_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from omega.core.shard_sums import ShardSums
    from omega.federation.collecting import Collected

GOOD = sums_of({1: 3, 2: 5})


def asked(folder: Path, *sources: Source, deadline_s: float = 10.0, now: float = NOW) -> Collected:
    return collect(sources, KIN, folder / "kept", deadline_s=deadline_s, now=now)


def spoilt(sums: ShardSums, name: str, at: int, value: float) -> ShardSums:
    getattr(sums.columns, name)[at] = value
    return sums


BAD: dict[str, Any] = {
    "garbage": b"<html>not here</html>",
    "damaged": GOOD.encode()[:-20],
    "lineage": sums_of({1: 3}, 1, lineage="0" * 16),
    "epoch": sums_of({1: 3}, 1, epoch=3, titles=70),
    "space": sums_of({1: 3}, 1, space=5),
    "nan": spoilt(sums_of({1: 3}, 1), "trends", 2, float("nan")),
    "negative": spoilt(sums_of({1: 3}, 1), "samples", 0, -5),
    "too-many": spoilt(sums_of({1: 3}, 1), "samples", 0, 10**12),
    "unsorted": spoilt(sums_of({1: 3, 2: 3}, 1), "title", 0, 9),
    "stale": sums_of({1: 3}, 1, made_at=int(NOW) - KEPT_S - 60),
    "unreachable": TransportError("nobody is there"),
}


@pytest.mark.parametrize("outcome", BAD)
def test_what_is_wrong_with_a_shard_is_named_and_others_count(outcome: str, tmp_path: Path) -> None:
    found = asked(tmp_path, source(GOOD, "good"), source(BAD[outcome], "bad"))
    assert [sums.facts.shard for sums in found.shards] == [0]
    good, bad = found.reports
    assert (good.outcome, good.shard, good.rows, good.reason) == ("counted", 0, 4, "")
    assert (bad.source, bad.outcome) == ("bad", outcome)
    assert bad.reason
    assert found.answered == 1


def test_clocks_that_disagree_with_the_day_are_named(tmp_path: Path) -> None:
    for told in (sums_of({1: 3}, day=DAY + 5), sums_of({1: 3}, made_at=int(NOW) + 7200)):
        [report] = asked(tmp_path, source(told)).reports
        assert report.outcome == "stale"


def test_an_earlier_epoch_is_welcome(tmp_path: Path) -> None:
    old = sums_of({1: 3}, 1, epoch=1, titles=len(FIRST))
    assert asked(tmp_path, source(old)).answered == 1
    assert FIRST.lineage == CATALOG.lineage


def test_a_shard_counts_once(tmp_path: Path) -> None:
    found = asked(tmp_path, source(GOOD, "a"), source(sums_of({9: 4}, 0), "b"), source(sums_of({1: 3}, 2), "c"))
    assert [report.outcome for report in found.reports] == ["counted", "twice", "counted"]
    assert [sums.columns.title[0] for sums in found.shards] == [1, 1]


def test_the_last_answer_counts_for_a_while(tmp_path: Path) -> None:
    gone = source(TransportError("restarting"), "one")
    asked(tmp_path, source(GOOD, "one"))
    found = asked(tmp_path, gone, now=NOW + 600)
    [report] = found.reports
    assert (report.outcome, report.shard, found.answered) == ("kept", 0, 0)
    assert "restarting" in report.reason
    assert "600 s ago" in report.reason
    assert found.shards[0].columns == GOOD.columns
    assert asked(tmp_path, source(b"garbage", "one"), now=NOW + 600).shards[0].columns == GOOD.columns
    assert asked(tmp_path, gone, now=NOW + KEPT_S + 60).shards == []
    assert asked(tmp_path, source(TransportError("away"), "other")).shards == []
    for file in (tmp_path / "kept").iterdir():
        assert file.stat().st_mode & 0o077 == 0


def sleepy(_deadline_s: float) -> bytes:
    time.sleep(20)
    return b""


def test_nobody_is_waited_for_beyond_the_deadline(tmp_path: Path) -> None:
    slow = [Source(f"slow-{at}", sleepy) for at in range(3)]
    began_s = time.monotonic()
    found = asked(tmp_path, *slow, source(GOOD), deadline_s=0.5)
    assert time.monotonic() - began_s < 5
    assert [report.outcome for report in found.reports] == ["late", "late", "late", "counted"]


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.sums").write_bytes(GOOD.encode())
    found = asked(tmp_path, file_source(tmp_path / "one.sums"), file_source(tmp_path / "none.sums"))
    assert [report.outcome for report in found.reports] == ["counted", "unreachable"]


@contextmanager
def server(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve on a real socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        def log_message(self, *_: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


def sends(handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"", length: int | None = None) -> None:
    handler.send_response(status)
    handler.send_header("content-length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_shard_is_asked_with_its_token(tmp_path: Path) -> None:
    heard: list[tuple[str, str | None]] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        heard.append((handler.path, handler.headers["authorization"]))
        sends(handler, body=GOOD.encode())

    with server(respond) as url:
        assert asked(tmp_path, url_source(url, "secret")).answered == 1
    assert heard == [(PATH, "Bearer secret")]
    [report] = asked(tmp_path / "other", url_source(url, "secret"), deadline_s=2).reports
    assert report.outcome == "unreachable"
    assert "secret" not in report.reason


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    for _ in range(40):
        try:
            handler.wfile.write(b".")
        except OSError:
            return
        time.sleep(0.1)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 20))
    except OSError:
        pass


@pytest.mark.parametrize(
    ("respond", "outcome", "word"),
    [
        (partial(sends, status=401, body=b"{}"), "unreachable", "the token doesn't count"),
        (partial(sends, status=403), "unreachable", "another role"),
        (partial(sends, status=500), "unreachable", "500"),
        (partial(sends, status=302), "unreachable", "302"),
        (partial(sends, body=b"short", length=500), "unreachable", "495 B early"),
        (partial(sends, body=b"{}"), "garbage", "allowed"),
        (trickle, "late", "deadline"),
        (endless, "size", "67,108,864"),
    ],
)
def test_a_server_that_misbehaves_is_named(
    respond: Callable[[BaseHTTPRequestHandler], None], outcome: str, word: str, tmp_path: Path
) -> None:
    with server(respond) as url:
        [report] = asked(tmp_path, url_source(url, "t"), deadline_s=1.0 if respond is trickle else 10.0).reports
    assert report.outcome == outcome
    assert word in report.reason


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://me:pw@x", "x", "http://x/?q=1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        url_source(url, "t")
    with pytest.raises(InputError, match="token"):
        url_source("http://x", "a\nb")
