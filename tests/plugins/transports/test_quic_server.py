"""The QUIC server for peers that aren't ours: garbage, floods, slowness, replays; and several workers at one port."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from omega.claims.quic_peer import Peer, met
from omega.claims.udp_relay import UdpRelay
from omega.core.errors import InputError, TransportError
from omega.core.ports import HEALTH, Reply
from omega.core.testing.transport_contract import TOKEN, ScriptedApp
from omega_plugins.transports.quic.book import Book
from omega_plugins.transports.quic.envelope import MAX_QUESTION_BYTES, Get, Sync, head_of, sealed
from omega_plugins.transports.quic.limits import Limits
from omega_plugins.transports.quic.routing import Route, bind
from omega_plugins.transports.quic.server import QuicServer, configured
from tests.plugins.transports.quic_places import KEY, WAIT_S, client, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega_plugins.transports.certificates import Certificates


async def status(peer: Peer, data: bytes) -> int:
    async with asyncio.timeout(WAIT_S):
        found = head_of(await peer.ask(data))
    assert found
    return found[0].status


def test_what_is_no_question_is_refused_and_the_next_one_answered(certificates: Certificates) -> None:
    app = ScriptedApp()

    async def ran() -> None:
        async with serving(app, certificates) as server, met(server.port, certificates.ca) as peer:
            await until(lambda: peer.shaken)
            for garbage in (b"", b"\x09\x00\x00", b"\x01\x00\x09x", os.urandom(300)):
                assert await status(peer, garbage) == 400
            assert await status(peer, sealed(Sync(TOKEN, b"x"))) == 200
            assert await status(peer, sealed(Sync("other", b"x"))) == 401
            assert await status(peer, sealed(Get("/etc/passwd"))) == 404
            assert await status(peer, sealed(Get(HEALTH))) == 200

    asyncio.run(ran())
    assert len(app.seen) == 2


@pytest.mark.parametrize("end", [True, False])
def test_a_longer_question_is_refused_before_its_end(certificates: Certificates, end: bool) -> None:  # noqa: FBT001
    app = ScriptedApp()

    async def ran() -> None:
        async with serving(app, certificates) as server, met(server.port, certificates.ca) as peer:
            await until(lambda: peer.shaken)
            stream_id = peer.say(bytes(MAX_QUESTION_BYTES + 1) if end else bytes(200_000), end=end)
            await until(lambda: stream_id in peer.whole)
            found = head_of(peer.answers[stream_id])
            assert found
            assert found[0].status == 413
            assert await status(peer, sealed(Sync(TOKEN, b"x"))) == 200

    asyncio.run(ran())
    assert len(app.seen) == 1


def test_a_peer_that_leaves_gaps_fills_no_memory(certificates: Certificates) -> None:
    async def ran() -> None:
        async with (
            serving(ScriptedApp(), certificates, Limits(streams=4)) as server,
            met(server.port, certificates.ca) as peer,
        ):
            await until(lambda: peer.shaken)
            for _ in range(4):
                peer.say(bytes(8_000), end=False)
            assert server._dispatcher
            (session,) = server._dispatcher.sessions
            await until(lambda: len(session._parts) == 4)
            peer.say(bytes(8_000), end=False)
            await peer.ping()
            assert len(session._quic._streams) == 4
            assert all(stream.max_stream_data_local < 11_000 for stream in session._quic._streams.values())

    asyncio.run(ran())


def test_who_is_slow_is_closed(certificates: Certificates) -> None:
    limits = Limits(handshake_s=1.5, question_s=0.3)

    async def ran() -> None:
        async with serving(ScriptedApp(), certificates, limits) as server, met(server.port, certificates.ca) as peer:
            await until(lambda: peer.shaken)
            peer.say(b"\x01\x00", end=False)
            await until(lambda: peer.end is not None)
            assert peer.end
            assert peer.end.reason_phrase == "too slow"
            await until(lambda: server.connections == 0)
            async with met(server.port, certificates.ca) as silent:
                assert silent._transport
                silent._transport.abort()  # it began, and says no more
                await until(lambda: server.connections == 1)
                await until(lambda: server.connections == 0)

    asyncio.run(ran())


def test_who_is_idle_is_forgotten(certificates: Certificates) -> None:
    async def ran() -> None:
        async with (
            serving(ScriptedApp(), certificates, Limits(idle_s=0.5)) as server,
            met(server.port, certificates.ca) as peer,
        ):
            await until(lambda: peer.shaken)
            assert server.connections == 1
            assert peer._transport
            peer._transport.abort()
            await until(lambda: server.connections == 0)
            assert server._dispatcher
            assert server._dispatcher._protocols == {}

    asyncio.run(ran())


def test_another_protocol_and_another_version_are_refused(certificates: Certificates) -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), certificates) as server, met(server.port, certificates.ca, alpn="h3") as peer:
            await until(lambda: peer.end is not None)
            assert peer.end
            assert peer.end.error_code == 0x178, "no application protocol"
            with closing(socket.socket(type=socket.SOCK_DGRAM)) as other:
                other.connect(("127.0.0.1", server.port))
                other.settimeout(0)
                other.send(b"\xc0\x1a\x2a\x3a\x4a\x08" + b"d" * 8 + b"\x08" + b"s" * 8 + bytes(1180))
                found = b""
                while not found:
                    await asyncio.sleep(0.01)
                    try:
                        found = other.recv(2048)
                    except BlockingIOError:
                        continue
                assert found[1:5] == bytes(4)
                assert bytes.fromhex("00000001") in found
                other.send(b"\xc0\x1a\x2a\x3a\x4a\x08" + b"d" * 8 + b"\x08" + b"s" * 8)
            assert server.connections == 0

    asyncio.run(ran())


def test_garbage_is_passed_over_without_a_word(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), certificates) as server, UdpRelay(server.port) as relay:
            async with client(relay.port, certificates) as asking:
                await asking.exchange(bytes(2000))
                known = [sent.data for sent in relay.sent]
                with closing(socket.socket(type=socket.SOCK_DGRAM)) as other:
                    for number in range(600):
                        data = bytearray(known[number % len(known)])
                        for _ in range(number % 5):
                            data[int.from_bytes(os.urandom(2)) % len(data)] ^= os.urandom(1)[0]
                        other.sendto(data[: None if number % 3 else 1 + number], ("127.0.0.1", server.port))
                        other.sendto(os.urandom(number % 1300), ("127.0.0.1", server.port))
                        await asyncio.sleep(0)
                assert await asking.exchange(b"ab") == b"ba"
            async with client(server.port, certificates) as another:
                assert await another.exchange(b"ab") == b"ba"

    with caplog.at_level(logging.WARNING):
        asyncio.run(ran())
    assert [record for record in caplog.records if record.exc_info] == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_what_only_looks_like_a_first_packet_takes_no_room(certificates: Certificates) -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), certificates, Limits(connections=2)) as server:
            with closing(socket.socket(type=socket.SOCK_DGRAM)) as other:
                for number in range(50):
                    head = b"\xc0\x00\x00\x00\x01\x08" + number.to_bytes(8) + b"\x08" + b"s" * 8 + b"\x00\x44\x96"
                    other.sendto(head + os.urandom(1200 - len(head)), ("127.0.0.1", server.port))
            async with client(server.port, certificates) as asking:
                assert await asking.exchange(b"ab") == b"ba"
                assert server.connections == 1

    asyncio.run(ran())


def test_a_first_flight_that_is_sent_again_is_not_answered_again(certificates: Certificates) -> None:
    app, book = ScriptedApp(), Book()

    async def ran() -> None:
        async with serving(app, certificates) as server, UdpRelay(server.port) as relay:
            async with client(relay.port, certificates, book=book) as first:
                await first.exchange(b"1")
            async with client(relay.port, certificates, book=book) as again:
                await again.exchange(b"2")
                assert again.met.early == 1
                flight = relay.first_flight()
                await replayed(flight, server.port)
            await until(lambda: server.connections == 0)
            await replayed(flight, server.port)
        assert [frame for _, frame in app.seen] == [b"1", b"2"]

    asyncio.run(ran())


def test_what_is_no_sync_with_a_token_waits_for_the_handshake_whoever_sends_it_early(
    certificates: Certificates,
) -> None:
    app, book = ScriptedApp(), Book()

    async def ran() -> None:
        async with serving(app, certificates) as server, UdpRelay(server.port) as relay:
            async with client(relay.port, certificates, book=book) as first:
                await first.exchange(b"1")
                kept = book.take(first._key)
            assert kept
            relay.one_flight = True
            configuration = QuicConfiguration(
                alpn_protocols=["omega/1"], server_name="127.0.0.1", session_ticket=kept.session()
            )
            peer = Peer(QuicConnection(configuration=configuration), relay.port)
            await peer.open()
            peer.connect(("127.0.0.1", relay.port), transmit=False)
            held = [peer.say(sealed(question)) for question in (Sync("", b"enrol"), Get(HEALTH))]
            peer.say(sealed(Sync(TOKEN, b"2")))
            await until(lambda: (TOKEN, b"2") in app.seen)
            assert server._dispatcher
            assert sum(len(session._early) for session in server._dispatcher.sessions) == 2
            assert ("", b"enrol") not in app.seen
            relay.one_flight = False
            await until(lambda: peer.whole >= set(held))
            assert app.seen[-1] == ("", b"enrol")
            await peer.leave()

    asyncio.run(ran())


async def replayed(flight: list[bytes], port: int) -> None:
    for _ in range(20):
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as other:
            for data in flight:
                other.sendto(data, ("127.0.0.1", port))
        await asyncio.sleep(0.01)


def test_the_end_of_one_connection_looks_at_no_other(certificates: Certificates) -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), certificates) as server, AsyncExitStack() as held:
            peers = [await held.enter_async_context(met(server.port, certificates.ca)) for _ in range(5)]
            await until(lambda: all(peer.shaken for peer in peers))
            assert server._dispatcher
            dispatcher = server._dispatcher
            ids = {cid for session in dispatcher.sessions for cid in session.ids}
            assert set(dispatcher._protocols) == ids
            one = next(iter(dispatcher.sessions))
            dispatcher._protocols = Watched(dispatcher._protocols)
            dispatcher._connection_terminated(one)
            assert len(dispatcher.sessions) == 4
            assert one not in dispatcher._protocols.values()

    asyncio.run(ran())


class Watched(dict):  # type: ignore[type-arg]
    """What nobody may look through."""

    def items(self) -> object:  # type: ignore[override]
        raise AssertionError("somebody looks through all connections")

    def __iter__(self) -> Iterator[object]:
        raise AssertionError("somebody looks through all connections")


@pytest.mark.parametrize(("drain_s", "takes_s"), [(30.0, 0.5), (0.1, 60.0)])
def test_a_stopping_server_answers_what_has_begun(certificates: Certificates, drain_s: float, takes_s: float) -> None:
    begun = asyncio.Event()

    async def slow(frame: bytes) -> Reply:
        begun.set()
        await asyncio.sleep(takes_s)
        return Reply(200, frame)

    async def ran() -> None:
        async with serving(ScriptedApp(slow), certificates, Limits(drain_s=drain_s)) as server:
            asking = client(server.port, certificates)
            asked = asyncio.create_task(asking.exchange(b"x"))
            await begun.wait()
        if drain_s > 1:
            assert await asked == b"x"
        else:
            with pytest.raises(TransportError, match="closed the connection") as caught:
                await asked
            assert not caught.value.permanent
        await asking.close()

    asyncio.run(ran())


def test_an_app_that_fails_tells_nothing_of_it(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    async def sometimes(frame: bytes) -> Reply:
        if frame == b"bad":
            raise ValueError("a bug")
        return Reply(200, frame)

    async def ran() -> None:
        async with (
            serving(ScriptedApp(sometimes), certificates) as server,
            client(server.port, certificates) as asking,
        ):
            with pytest.raises(TransportError, match="500: the shard failed"):
                await asking.exchange(b"bad")
            assert await asking.exchange(b"good") == b"good"

    asyncio.run(ran())
    assert len(caplog.records) == 1


def test_questions_beyond_the_limit_are_told_when_to_come_again(certificates: Certificates) -> None:
    async def slow(frame: bytes) -> Reply:
        await asyncio.sleep(0.4)
        return Reply(200, frame)

    async def ran() -> None:
        limits = Limits(calls=3, retry_after_s=41)
        async with (
            serving(ScriptedApp(slow), certificates, limits) as server,
            client(server.port, certificates) as asking,
        ):
            found = await asyncio.gather(*(asking.exchange(b"x") for _ in range(8)), return_exceptions=True)
            errors = [error for error in found if isinstance(error, TransportError)]
            assert (found.count(b"x"), len(errors)) == (3, 5)
            assert {(error.retry_after_s, error.permanent) for error in errors} == {(41, False)}

    asyncio.run(ran())


def test_who_takes_nothing_of_a_file_is_given_up_and_little_of_it_is_held(
    certificates: Certificates, tmp_path: Path
) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, bytes(20_000_000))

    async def ran() -> None:
        async with (
            serving(app, certificates, Limits(write_s=0.3)) as server,
            met(server.port, certificates.ca, window_bytes=30_000) as peer,
        ):
            await until(lambda: peer.shaken)
            peer._quic._write_stream_limits = lambda **_: None  # type: ignore[method-assign]
            stream_id = peer.say(sealed(Get(path)))
            assert server._dispatcher
            (session,) = server._dispatcher.sessions
            await until(lambda: bool(session._tasks))
            most = 0
            while session._tasks:
                most = max(most, session._held_bytes(stream_id))
                await asyncio.sleep(0.01)
            assert 200_000 < most < 500_000
            assert stream_id not in peer.whole
            assert await status(peer, sealed(Get(HEALTH))) == 200

    asyncio.run(ran())


def test_a_file_that_shrinks_is_broken_off(certificates: Certificates, tmp_path: Path) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, bytes(4_000_000))

    async def ran() -> None:
        async with serving(app, certificates) as server, client(server.port, certificates) as asking:
            asked = asyncio.create_task(asking.get(path, max_bytes=4_000_000))
            assert server._dispatcher
            while not any(session._room for session in server._dispatcher.sessions):  # noqa: ASYNC110
                await asyncio.sleep(0)
            app.files[path.rpartition("/")[2]].write_bytes(b"")
            with pytest.raises(TransportError, match="is broken, the shard gave it up"):
                await asked

    asyncio.run(ran())


def test_every_workers_ids_lead_to_it(certificates: Certificates) -> None:
    for workers in (1, 2, 3, 7, 64):
        for worker in range(workers):
            route = Route(worker, workers)
            assert {route.steered(first) % workers for first in range(256)} == {worker}
            assert all(0 <= route.steered(first) < 256 for first in range(256))
    for wrong in ((1, 1), (-1, 2), (0, 0), (0, 65)):
        with pytest.raises(InputError, match="worker is"):
            Route(*wrong)

    async def ran() -> None:
        (bound,) = bind("127.0.0.1", 0)
        pair = (certificates.certificate, certificates.key)
        async with (
            QuicServer(ScriptedApp(), bound, certificate=pair, ticket_key=KEY, worker=2, workers=5) as server,
            met(server.port, certificates.ca) as peer,
        ):
            await until(lambda: peer.shaken)
            await until(lambda: len(peer._quic._peer_cid_available) >= 7)
            found = [peer._quic._peer_cid, *peer._quic._peer_cid_available]
            assert {held.cid[0] % 5 for held in found} == {2}
            assert len({held.cid for held in found}) == len(found)

    asyncio.run(ran())


def test_workers_share_a_port_and_a_connection_survives_a_new_address(certificates: Certificates) -> None:
    async def ran() -> None:
        sockets = bind("127.0.0.1", 0, workers=3)
        pair, apps = (certificates.certificate, certificates.key), [ScriptedApp() for _ in range(3)]
        servers = [
            QuicServer(app, bound, certificate=pair, ticket_key=KEY, worker=number, workers=3)
            for number, (app, bound) in enumerate(zip(apps, sockets, strict=True))
        ]
        async with servers[0], servers[1], servers[2]:
            for _ in range(12):
                async with met(servers[0].port, certificates.ca) as peer:
                    await until(lambda: peer.shaken)
                    assert await status(peer, sealed(Sync(TOKEN, b"x"))) == 200
                    await peer.open()
                    assert await status(peer, sealed(Sync(TOKEN, b"x"))) == 200
            seen = [len(app.seen) for app in apps]
            assert sum(seen) == 24
            assert all(count % 2 == 0 for count in seen)
            book = Book()
            for turn in range(12):
                async with client(servers[0].port, certificates, book=book) as asking:
                    await asking.exchange(b"x")
                    assert asking.met.early == bool(turn), "every worker takes what any gave"

    asyncio.run(ran())


def test_an_address_that_cannot_be_served_at_is_said_so() -> None:
    with closing(bind("127.0.0.1", 0)[0]) as taken:
        port = taken.getsockname()[1]
        for workers in (1, 2):
            with pytest.raises(TransportError, match="end what holds it") as caught:
                bind("127.0.0.1", port, workers)
            assert caught.value.permanent
    for host in ("no.such.host.invalid", "203.0.113.9", "x" * 80):
        with pytest.raises(TransportError):
            bind(host, 0)
    for wrong in (-1, 70_000):
        with pytest.raises(InputError):
            bind("127.0.0.1", wrong)
    with pytest.raises(InputError, match=r"allowed: 0\.\.63"):
        bind("127.0.0.1", 0, 65)


def test_a_certificate_without_its_key_or_of_a_kind_that_quic_lacks_is_refused(
    certificates: Certificates, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="omega shard cert"):
        configured(tmp_path / "none.pem", tmp_path / "none.key")
    with pytest.raises(InputError, match="omega shard cert"):
        configured(certificates.certificate, certificates.ca_key)
    pair = foreign(tmp_path)
    with pytest.raises(InputError, match="of a kind that QUIC can't use, allowed: EC P-256"):
        configured(*pair)


def foreign(folder: Path) -> tuple[Path, Path]:
    """Return a certificate on a curve that TLS has and aioquic can't sign by."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    key, name, now = ec.generate_private_key(ec.SECP521R1()), x509.Name([]), datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(
        key, hashes.SHA256()
    )
    pem = serialization.Encoding.PEM
    (folder / "c.pem").write_bytes(made.public_bytes(pem))
    (folder / "k.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "c.pem", folder / "k.pem"
