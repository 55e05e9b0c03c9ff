"""The server over raw sockets: bounds, deadlines, paths, drain, garbage."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.core.errors import InputError, TransportError
from omega.core.ports import ARTIFACTS, MAX_FRAME_BYTES, Reply
from omega.core.testing.transport_contract import TOKEN, ScriptedApp
from omega_plugins.transports.http.limits import Limits
from omega_plugins.transports.http.server import HttpServer, bind, tls
from tests.plugins.transports.places import client, post, said, serving, statuses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = Limits(head_s=0.4, body_s=0.6, write_s=0.6, idle_s=1, drain_s=3, head_bytes=1000)
HEAD = b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-token\r\n"


def answered(
    app: ScriptedApp, *parts: bytes, limits: Limits | None = None, pause_s: float = 0, quiet_s: float = 0.3
) -> bytes:
    """Return what a server says to these bytes."""

    async def ran() -> bytes:
        async with serving(app, limits) as (_, port):
            return await said(port, *parts, pause_s=pause_s, quiet_s=quiet_s)

    return asyncio.run(ran())


def test_a_declared_length_beyond_the_limit_is_refused_before_any_of_it_comes() -> None:
    app = ScriptedApp()
    answer = answered(app, HEAD + b"Content-Length: 99999999999\r\n\r\n")
    assert statuses(answer) == [413]
    assert b"99,999,999,999 B or more, allowed: 8,192 B" in answer
    assert app.seen == []


def test_a_body_that_grows_beyond_the_limit_is_refused_while_it_comes() -> None:
    app = ScriptedApp()
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    answer = answered(app, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 40, pause_s=0.001)
    assert statuses(answer) == [413]
    assert app.seen == []


def test_a_chunked_body_within_the_limit_is_taken() -> None:
    app = ScriptedApp()
    answer = answered(
        app, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n", pause_s=0.02
    )
    assert answer.endswith(b"cba")
    assert app.seen == [(TOKEN, b"abc")]


def test_the_connection_goes_on_after_a_refused_body() -> None:
    app = ScriptedApp()
    answer = answered(app, post(bytes(MAX_FRAME_BYTES + 1)), post(b"next"), pause_s=0.05)
    assert statuses(answer) == [413, 200]
    assert app.seen == [(TOKEN, b"next")]


def test_a_refused_body_without_end_ends_at_the_deadline() -> None:
    started, part = time.monotonic(), bytes(60_000)
    endless = (HEAD + b"Content-Length: 999999999\r\n\r\n", *[part] * 500)
    answer = answered(ScriptedApp(), *endless, limits=QUICK, pause_s=0.01, quiet_s=4)
    assert statuses(answer)[0] == 413
    assert 0.5 < time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([b"POST /v1/s"], [408]),
        ([bytes([byte]) for byte in HEAD], [408]),
        ([HEAD + b"Content-Length: 50\r\n\r\n"], [408]),
        ([HEAD + b"Content-Length: 50\r\n\r\n", *[b"x"] * 49], [408]),
        ([post(b"one") + b"POST"], [200, 408]),
        ([b""], []),
    ],
    ids=["half a head", "a dripping head", "no body", "a dripping body", "a second head", "nothing"],
)
def test_a_slow_client_is_told_and_closed(parts: list[bytes], status: list[int]) -> None:
    started, app = time.monotonic(), ScriptedApp()
    assert statuses(answered(app, *parts, limits=QUICK, pause_s=0.03, quiet_s=3)) == status
    assert 0.3 < time.monotonic() - started < 3
    assert len(app.seen) == status.count(200)


def test_a_slow_client_holds_nobody_up() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), Limits(head_s=2)) as (server, port):
            slow = [asyncio.create_task(said(port, b"POST")) for _ in range(100)]
            await asyncio.sleep(0.2)
            async with client(port) as quick:
                started = time.monotonic()
                assert await quick.exchange(b"ab") == b"ba"
                assert time.monotonic() - started < 1
            assert server.connections >= 100
            assert {tuple(statuses(answer)) for answer in await asyncio.gather(*slow)} == {(408,)}

    asyncio.run(ran())


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + b"X: " + b"x" * 2000],
        [HEAD, *[b"X-%d: x\r\n" % i for i in range(300)]],
        [b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\n\r\n"],
        [post(b"ok") + b"x" * 1001],
    ],
)
def test_a_head_without_end_is_refused(parts: list[bytes]) -> None:
    assert statuses(answered(ScriptedApp(), *parts, limits=QUICK, pause_s=0.001))[-1] in {400, 431}


@pytest.mark.parametrize(
    ("request_line", "status", "allow"),
    [
        ("GET /v1/sync", 405, b"allow: POST"),
        ("DELETE /v1/sync", 405, b"allow: POST"),
        ("POST /v1/health", 405, b"allow: GET"),
        ("PUT /v1/artifacts/00", 405, b"allow: GET"),
        ("GET /", 404, b""),
        ("GET /v1/sync/", 404, b""),
        ("GET /v1/artifacts/%2e%2e%2fetc%2fpasswd", 404, b""),
        (f"GET {ARTIFACTS}{'F' * 64}", 404, b""),
        ("GET /v1/health?x=1", 200, b""),
    ],
)
def test_paths_and_methods(request_line: str, status: int, allow: bytes) -> None:
    answer = answered(ScriptedApp(), f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert statuses(answer) == [status]
    assert allow in answer


@pytest.mark.parametrize(
    ("line", "token"),
    [
        ("", ""),
        ("Authorization: Basic YTpi\r\n", ""),
        ("Authorization: Bearer\r\n", ""),
        ("authorization: bearer  abc \r\n", "abc"),
        ("Authorization: Bearer \xe9\r\n", "\xe9"),
    ],
)
def test_the_token_goes_to_the_app_as_it_came(line: str, token: str) -> None:
    app = ScriptedApp()
    request = f"POST /v1/sync HTTP/1.1\r\nHost: x\r\n{line}Content-Length: 1\r\n\r\nx"
    assert statuses(answered(app, request.encode("latin-1"))) == [401]
    assert app.seen == [(token, b"x")]


def test_an_app_that_fails_is_a_500_and_the_next_request_is_answered() -> None:
    async def sometimes(frame: bytes) -> Reply:
        if frame == b"bad":
            raise ValueError("a bug")
        return Reply(200, frame)

    async def ran() -> None:
        async with serving(ScriptedApp(sometimes)) as (_, port):
            assert statuses(await said(port, post(b"bad"))) == [500]
            assert (await said(port, post(b"good"))).endswith(b"good")

    asyncio.run(ran())


def test_a_bug_is_logged_and_garbage_is_not(caplog: pytest.LogCaptureFixture) -> None:
    async def bad(frame: bytes) -> Reply:
        raise ValueError("a bug")

    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    for request, logged in ((b"garbage\r\n\r\n", 0), (upgrade, 0), (post(b"x"), 1)):
        caplog.clear()
        answered(ScriptedApp(bad), request)
        assert len(caplog.records) == logged


def test_pipelined_requests_are_answered_in_order() -> None:
    async def uneven(frame: bytes) -> Reply:
        await asyncio.sleep(0.05 if frame == b"0" else 0)
        return Reply(200, b"<" + frame + b">")

    answer = answered(ScriptedApp(uneven), b"".join(post(b"%d" % i) for i in range(9)))
    assert [part.split(b">")[0] for part in answer.split(b"<")[1:]] == [b"%d" % i for i in range(9)]


def test_connections_beyond_the_limit_get_a_503_and_far_beyond_nothing() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), Limits(connections=3, retry_after_s=41)) as (_, port):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            await asyncio.sleep(0.05)
            async with client(port) as one_more:
                with pytest.raises(TransportError, match="503") as caught:
                    await one_more.exchange(b"x")
            assert (caught.value.retry_after_s, caught.value.permanent) == (41, False)
            held += [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            await asyncio.sleep(0.05)
            assert await said(port, post(b"x")) == b""
            for _, writer in held:
                writer.close()
            await asyncio.sleep(0.05)
            async with client(port) as again:
                assert await again.exchange(b"ab") == b"ba"

    asyncio.run(ran())


def test_a_client_that_takes_nothing_is_closed(tmp_path: Path) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, bytes(30_000_000))

    async def ran() -> None:
        async with serving(app, QUICK) as (server, port):
            with socket.create_connection(("127.0.0.1", port)) as lazy:
                lazy.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await asyncio.sleep(0.2)
                assert server.connections == 1
                await asyncio.sleep(1.3)
                assert server.connections == 0

    asyncio.run(ran())


def test_an_idle_connection_is_closed() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), QUICK) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post(b"x"))
            async with asyncio.timeout(5):
                assert (await reader.read()).endswith(b"x")
            writer.close()

    asyncio.run(ran())


@pytest.mark.parametrize(
    ("asked", "status", "got", "told"),
    [
        ("bytes=0-3", 206, b"0123", b"content-range: bytes 0-3/10"),
        ("bytes=8-", 206, b"89", b"content-range: bytes 8-9/10"),
        ("bytes=-3", 206, b"789", b"content-range: bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", b"content-range: bytes 0-9/10"),
        ("bytes=5-999999999999", 206, b"56789", b"content-range: bytes 5-9/10"),
        ("bytes=10-", 416, b"", b"content-range: bytes */10"),
        ("bytes=-0", 416, b"", b"content-range: bytes */10"),
        ("bytes=3-1", 200, b"0123456789", b"content-length: 10"),
        ("bytes=0-1,4-5", 200, b"0123456789", b"content-length: 10"),
        ("bytes=-", 200, b"0123456789", b"content-length: 10"),
        ("pages=1-2", 200, b"0123456789", b"content-length: 10"),
        ("bytes=99999999999999999999-", 200, b"0123456789", b"content-length: 10"),
    ],
)
def test_ranges(tmp_path: Path, asked: str, status: int, got: bytes, told: bytes) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, b"0123456789")
    answer = answered(app, f"GET {path} HTTP/1.1\r\nHost: x\r\nRange: {asked}\r\n\r\n".encode())
    assert statuses(answer) == [status]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert told in head
    assert status == 416 or body == got


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
def test_a_known_etag_is_answered_without_a_body(tmp_path: Path, form: str) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, b"0123456789")
    etag = form.format(path.removeprefix(ARTIFACTS))
    answer = answered(app, f"GET {path} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\n\r\n".encode())
    assert statuses(answer) == [304]
    assert answer.endswith(b"\r\n\r\n")
    assert b"immutable" in answer


def test_a_stopping_server_answers_what_it_has_begun_and_takes_nothing_new() -> None:
    async def slow(frame: bytes) -> Reply:
        await asyncio.sleep(0.5)
        return Reply(200, frame)

    async def ran() -> None:
        bound, server = bind("127.0.0.1", 0), HttpServer(ScriptedApp(slow), limits=QUICK)
        port, task = bound.getsockname()[1], asyncio.create_task(server.serve(bound))
        async with client(port) as busy, client(port) as idle:
            await idle.exchange(b"before")
            asked = [asyncio.create_task(busy.exchange(b"%d" % i)) for i in range(8)]
            await asyncio.sleep(0.2)
            server.stop()
            started = time.monotonic()
            assert await asyncio.gather(*asked) == [b"%d" % i for i in range(8)]
            await task
            assert time.monotonic() - started < 2
            with pytest.raises(TransportError, match="Connection refused"):
                await idle.exchange(b"after")

    asyncio.run(ran())


@pytest.mark.parametrize("already", [0, 1, 40, len(HEAD), len(HEAD) + 25], ids=str)
@pytest.mark.parametrize("turn", [1, 2])
def test_a_stopping_server_hears_out_a_request_that_has_begun(already: int, turn: int) -> None:
    request = HEAD + b"Content-Length: 9\r\n\r\nlastwords"

    async def ran() -> None:
        bound, server = bind("127.0.0.1", 0), HttpServer(ScriptedApp(), limits=Limits(drain_s=5))
        port, task = bound.getsockname()[1], asyncio.create_task(server.serve(bound))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if turn == 2:
            writer.write(post(b"first"))
            assert b"tsrif" in await reader.read(1000)
        writer.write(request[:already])
        await asyncio.sleep(0.1)
        server.stop()
        await asyncio.sleep(0.1)
        started = time.monotonic()
        writer.write(request[already:])
        answer = await reader.read()
        assert answer.endswith(b"sdrowtsal") is (already > 0 or turn == 1), "who has just come may still ask"
        await task
        assert time.monotonic() - started < 1
        writer.close()

    asyncio.run(ran())


def test_a_stopping_server_waits_for_no_silent_newcomer() -> None:
    async def ran() -> None:
        bound, server = bind("127.0.0.1", 0), HttpServer(ScriptedApp(), limits=Limits(last_s=0.1, drain_s=60))
        port, task = bound.getsockname()[1], asyncio.create_task(server.serve(bound))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.1)
        server.stop()
        async with asyncio.timeout(30):
            assert await reader.read() == b""
            await task
        writer.close()

    asyncio.run(ran())


def test_a_stopping_server_waits_no_longer_than_it_may() -> None:
    async def endless(frame: bytes) -> Reply:
        await asyncio.sleep(60)
        return Reply(200, frame)

    async def ran() -> None:
        bound, server = bind("127.0.0.1", 0), HttpServer(ScriptedApp(endless), limits=Limits(drain_s=0.3))
        port, task = bound.getsockname()[1], asyncio.create_task(server.serve(bound))
        async with client(port) as asking:
            asked = asyncio.create_task(asking.exchange(b"x"))
            await asyncio.sleep(0.1)
            server.stop()
            with pytest.raises(TransportError) as caught:
                await asked
            assert not caught.value.permanent
        async with asyncio.timeout(2):
            await task

    asyncio.run(ran())


CHILD = """
import asyncio
from omega.core.ports import Reply
from omega.core.testing.transport_contract import ScriptedApp
from omega_plugins.transports.http.server import bind, run, serve_until_told

async def slow(frame):
    await asyncio.sleep(0.6)
    return Reply(200, frame)

bound = bind("127.0.0.1", 0)
print(bound.getsockname()[1], flush=True)
run(serve_until_told(ScriptedApp(slow), bound))
print("drained", flush=True)
"""


def test_sigterm_drains_a_process() -> None:
    async def asked(port: int, child: subprocess.Popen[str]) -> bytes:
        async with client(port) as asking:
            task = asyncio.create_task(asking.exchange(b"x"))
            await asyncio.sleep(0.3)
            child.terminate()
            return await task

    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert asyncio.run(asked(int(child.stdout.readline()), child)) == b"x"
        assert child.stdout.readline() == "drained\n"
        assert child.wait(5) == 0


def test_an_address_that_cannot_be_served_at_is_said_so() -> None:
    taken = bind("127.0.0.1", 0)
    with pytest.raises(TransportError, match="end what holds it") as caught:
        bind("127.0.0.1", taken.getsockname()[1])
    assert caught.value.permanent
    taken.close()
    for host, port in (("no.such.host.invalid", 1), ("203.0.113.9", 0), ("x" * 80, 1)):
        with pytest.raises(TransportError):
            bind(host, port)
    for wrong in (-1, 70_000):
        with pytest.raises(InputError):
            bind("127.0.0.1", wrong)


def test_two_processes_may_share_a_port() -> None:
    first = bind("127.0.0.1", 0, shared=True)
    second = bind("127.0.0.1", first.getsockname()[1], shared=True)
    first.close()
    second.close()


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="omega shard cert"):
        tls(tmp_path / "none.pem", tmp_path / "none.key")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server on uvloop in a thread of its own, for many short conversations."""
    bound, holding = bind("127.0.0.1", 0), list[HttpServer]()

    async def served() -> None:
        holding.append(HttpServer(ScriptedApp(), limits=QUICK))
        await holding[0].serve(bound)

    loop = uvloop.new_event_loop()
    number = bound.getsockname()[1]
    thread = Thread(target=loop.run_until_complete, args=(served(),))
    thread.start()
    yield number
    loop.call_soon_threadsafe(holding[0].stop)
    thread.join(10)
    loop.close()


def conversation(port: int, data: bytes) -> bytes:
    """Send bytes, say that no more come, and return the answer."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        try:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            while part := line.recv(65_536):
                found += part
        except (ConnectionError, OSError):
            pass
    return found


VALID = post(b"frame") + b"GET /v1/health HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nTransfer-Encoding: chunked\r\n\r\n"


@settings(max_examples=400)
@given(
    st.one_of(
        st.binary(max_size=3000),
        st.tuples(st.integers(0, len(VALID)), st.binary(max_size=40), st.integers(0, 40)).map(
            lambda drawn: VALID[: drawn[0]] + drawn[1] + VALID[drawn[0] + drawn[2] :]
        ),
        st.lists(
            st.sampled_from(
                [
                    b"GET ",
                    b"POST ",
                    b"/v1/sync",
                    b" HTTP/1.1",
                    b" HTTP/1.0",
                    b"\r\n",
                    b"Content-Length: ",
                    b"5",
                    b"-1",
                    b"Transfer-Encoding: chunked",
                    b"Expect: 100-continue",
                    b"Upgrade: websocket",
                    b"Connection: upgrade",
                    b"Host: x",
                    b"\0",
                    b"\xff",
                    b":",
                    b"0\r\n\r\n",
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    b"CONNECT x:1",
                ]
            ),
            max_size=25,
        ).map(b"".join),
    )
)
def test_garbage_is_answered_with_a_refusal_or_nothing(port: int, data: bytes) -> None:
    answer = conversation(port, data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert not {status for status in statuses(answer) if status >= 500}
    assert conversation(port, post(b"well")).endswith(b"llew")
