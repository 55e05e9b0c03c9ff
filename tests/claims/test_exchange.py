"""The claim about a sync's bytes counts what passes a relay, and sees what is missing."""

from __future__ import annotations

import socket
from contextlib import closing
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from omega.claims import exchange
from omega.claims.bench import Bench
from omega.claims.claim import run
from omega.claims.every import claims
from omega.claims.exchange import Account, Talk, messages
from omega.claims.relay import Carried, Relay
from omega.core.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sync_is_counted_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ROUNDS", 2)
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as bench:
        (found,) = run(claims.chosen(["sync-wire-bytes"], slow=False), bench)
    assert found.held is True, found
    details = found.details
    assert details["syncs"] == 4 + 3
    assert 100 * 7 < details["up_frame_worst"] < 1_024
    assert details["by_ordinal_worst"] < details["by_hash_worst"] < details["asking_worst"] == found.measured
    whole = details["up_frame_worst"] + details["down_frames_worst"] + details["heads_worst"]
    assert 200 * 3 < details["down_frames_worst"] < found.measured <= whole
    assert details["heads_worst"] > 40 + len("POST /v1/sync HTTP/1.1")
    assert details["enrolment"] > 32 + 64


def test_a_relay_carries_and_counts_both_ways() -> None:
    heard: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with accepted:
            while data := accepted.recv(100_000):
                heard.append(data)
            accepted.sendall(b"b" * 70_000)

    with socket.create_server(("127.0.0.1", 0)) as listener, Relay(listener.getsockname()[1]) as relay:
        server = Thread(target=answer, args=(listener,))
        server.start()
        with socket.create_connection(("127.0.0.1", int(relay.url.rpartition(":")[2]))) as client:
            client.sendall(b"a" * 200_000)
            client.shutdown(socket.SHUT_WR)
            came = b"".join(iter(lambda: client.recv(100_000), b""))
        server.join()
        (carried,) = relay.connections
        assert carried.size_bytes == 270_000
    assert b"".join(heard) == carried.up == b"a" * 200_000
    assert came == carried.down == b"b" * 70_000


def test_a_relay_ends_connections_that_are_still_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with Relay(listener.getsockname()[1]) as relay:
            client = socket.create_connection(("127.0.0.1", int(relay.url.rpartition(":")[2])))
            accepted, _ = listener.accept()
        with client, accepted:
            assert client.recv(1) == accepted.recv(1) == b""


def test_a_relay_to_nobody_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Relay(port) as relay:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", int(relay.url.rpartition(":")[2]))) as client:
                client.settimeout(10)
                assert client.recv(1) == b""
        assert relay.connections == []


def test_a_stream_is_taken_apart() -> None:
    stream = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab\nGET / HTTP/1.1\r\ncontent-length:0\r\n\r\n"
    (first, second) = messages(stream)
    assert first[1] == b"ab\n"
    assert second == (b"GET / HTTP/1.1\r\ncontent-length:0\r\n\r\n", b"")
    assert len(first[0]) + 3 + len(second[0]) == len(stream)
    with pytest.raises(ValueError, match="not found"):
        list(messages(stream + b"POST"))


@pytest.mark.parametrize(
    ("account", "agrees"), [((7, 2, 0), True), ((6, 2, 0), False), ((7, 3, 0), False), ((7, 2, 1), False)]
)
def test_an_account_that_differs_disagrees(account: tuple[int, int, int], *, agrees: bool) -> None:
    carried = Carried()
    for body in (b"", b"who", b"a frame"):
        carried.up += b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        carried.down += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    sent, received, more = account
    talk = Talk(carried, [Account(sent, received, carried.size_bytes + more)])
    assert exchange._agrees(talk) is agrees
