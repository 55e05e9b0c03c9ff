"""The client against servers that misbehave, certificates that don't fit, and connections that end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import InputError, TransportError
from omega.core.ports import MAX_REPLY_BYTES
from omega.core.testing.transport_contract import TOKEN, ScriptedApp
from omega_plugins.transports.answers import retry_after_s
from omega_plugins.transports.certificates import make
from omega_plugins.transports.http import HttpTransport
from omega_plugins.transports.http.address import parsed
from omega_plugins.transports.http.limits import Limits
from omega_plugins.transports.http.server import tls
from tests.plugins.transports.places import client, rogue, serving

if TYPE_CHECKING:
    from pathlib import Path

    from omega_plugins.transports.certificates import Certificates

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def heard(reader: asyncio.StreamReader) -> bytes:
    """Read one request; its body is one byte."""
    return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)


def told(*answers: bytes, timeout_s: float = 5, questions: int = 1) -> tuple[list[bytes | TransportError], int]:
    """Ask a server that gives each connection these answers and closes; return what came and how many connections."""
    met = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal met
        met += 1
        for answer in answers:
            await heard(reader)
            writer.write(answer)
            await writer.drain()

    async def ran() -> list[bytes | TransportError]:
        found: list[bytes | TransportError] = []
        async with rogue(talk) as port, client(port, timeout_s=timeout_s) as asking:
            for _ in range(questions):
                try:
                    found.append(await asking.exchange(b"x"))
                except TransportError as error:
                    found.append(error)
        return found

    return asyncio.run(ran()), met


@pytest.mark.parametrize(
    ("answer", "reason", "permanent"),
    [
        (b"", "without an answer", False),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "ends in the middle", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "ends in the middle", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "ends in the middle", False),
        (b"HTTP/1.1 200 OK\r\n\r\nno length at all", "ends in the middle", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "ends in the middle", False),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "no HTTP", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "no HTTP", False),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "no HTTP", False),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", "head is longer", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", "99,999,999,999,999 B, allowed", True),
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://else.where/\r\nContent-Length: 0\r\n\r\n",
            "on to https://els",
            True,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "answered 204", True),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "answered 304", True),
    ],
)
def test_an_answer_that_is_none_is_a_clean_error(answer: bytes, reason: str, permanent: bool) -> None:  # noqa: FBT001
    (error,), _ = told(answer)
    assert isinstance(error, TransportError)
    assert reason in str(error)
    assert error.permanent is permanent


def test_a_chunked_answer_without_end_is_cut_at_the_limit() -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
            await writer.drain()
            sent += 4096

    async def ran() -> None:
        async with rogue(talk) as port, client(port) as asking:
            with pytest.raises(TransportError, match="allowed: 65,536 B") as caught:
                await asking.exchange(b"x")
            assert caught.value.permanent

    asyncio.run(ran())
    assert sent < 300 * MAX_REPLY_BYTES  # what the kernel takes besides


def test_interim_answers_are_passed_over() -> None:
    assert told(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + GOOD)[0] == [b"ok"]


def test_a_second_answer_that_nobody_asked_for_ends_the_connection() -> None:
    answers, met = told(GOOD + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", questions=2)
    assert answers == [b"ok", b"ok"]
    assert met == 2


def test_a_kept_connection_that_was_closed_meanwhile_costs_nothing() -> None:
    answers, met = told(GOOD, questions=5)
    assert answers == [b"ok"] * 5
    assert met == 5


def test_a_kept_connection_that_closes_on_the_question_is_asked_again_on_a_new_one() -> None:
    answers, met = told(GOOD, b"", questions=4)
    assert answers == [b"ok"] * 4
    assert met == 4


def test_a_kept_connection_that_was_given_up_is_asked_again_on_a_new_one() -> None:
    late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    answers, met = told(GOOD, late, questions=3)
    assert answers == [b"ok"] * 3
    assert met == 3


def test_a_fresh_connection_is_not_tried_twice() -> None:
    (error,), met = told(b"")
    assert isinstance(error, TransportError)
    assert met == 1


def test_a_connection_that_is_told_to_close_is_closed() -> None:
    answers, met = told(GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), questions=2)
    assert answers == [b"ok"] * 2
    assert met == 2


def test_a_server_that_takes_the_question_and_says_nothing_is_given_up_in_time() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        while True:
            writer.write(GOOD[:17] + b"X: y\r\n")
            await asyncio.sleep(0.05)

    async def ran() -> None:
        for bad in (mute, dripping):
            async with rogue(bad) as port, client(port, timeout_s=0.5) as asking:
                started = time.monotonic()
                with pytest.raises(TransportError, match=r"within 0\.5 s|no HTTP") as caught:
                    await asking.exchange(b"x")
                assert time.monotonic() - started < 2
                assert not caught.value.permanent

    asyncio.run(ran())


def test_a_server_that_is_gone_and_a_name_that_is_none() -> None:
    async def ran() -> None:
        async with client(9) as nobody:
            with pytest.raises(TransportError, match="Connection refused") as caught:
                await nobody.exchange(b"x")
        assert not caught.value.permanent
        async with client(9, host="no.such.host.invalid") as nowhere:
            with pytest.raises(TransportError, match="has no address"):
                await nowhere.exchange(b"x")

    asyncio.run(ran())


@given(
    st.one_of(
        st.binary(max_size=400),
        st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=20), st.integers(0, 20)).map(
            lambda drawn: GOOD[: drawn[0]] + drawn[1] + GOOD[drawn[0] + drawn[2] :]
        ),
    )
)
def test_whatever_a_server_says_is_an_answer_or_a_clean_error(said: bytes) -> None:
    (found,), _ = told(said)
    assert isinstance(found, (bytes, TransportError))


def test_many_requests_take_one_connection() -> None:
    async def ran() -> None:
        app = ScriptedApp()
        async with serving(app) as (server, port), client(port) as asking:
            for turn in range(2000):
                assert await asking.exchange(b"%d" % turn) == (b"%d" % turn)[::-1]
            assert server.connections == 1
            await asyncio.gather(*(asking.exchange(b"x") for _ in range(500)))
            assert server.connections <= 8
        assert len(app.seen) == 2500

    asyncio.run(ran())


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_two_hundred_at_once(encrypted: bool, certificates: Certificates) -> None:  # noqa: FBT001
    context = tls(certificates.certificate, certificates.key) if encrypted else None
    ca = certificates.ca if encrypted else None

    async def ran() -> None:
        async with serving(ScriptedApp(), Limits(head_s=30), context) as (server, port), AsyncExitStack() as open_ones:
            tvs = [await open_ones.enter_async_context(client(port, ca, timeout_s=60)) for _ in range(200)]
            answers = await asyncio.gather(*(tv.exchange(b"<%d" % turn) for turn, tv in enumerate(tvs)))
            assert answers == [(b"<%d" % turn)[::-1] for turn in range(200)]
            assert server.connections == 200

    asyncio.run(ran())


def failure(made: Certificates, ca: Path | None, host: str = "localhost", *, secure: bool = True) -> TransportError:
    """Return the error of asking a server with this certificate."""

    async def ran() -> TransportError:
        async with serving(ScriptedApp(), context=tls(made.certificate, made.key) if secure else None) as (_, port):
            url = f"https://{host}:{port}"
            async with HttpTransport.connect(url, token=str, ca=ca, timeout_s=5) as asking:
                with pytest.raises(TransportError) as caught:
                    await asking.exchange(b"x")
                return caught.value

    return asyncio.run(ran())


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path, days=10, now=datetime.now(UTC) - timedelta(days=12))
    error = failure(made, made.ca)
    assert "certificate has expired" in str(error)
    assert error.permanent


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path, hosts=["shard.example.org", "10.0.0.7"])
    for host in ("localhost", "127.0.0.1"):
        error = failure(made, made.ca, host)
        assert f"for {host} of a trusted CA" in str(error)
        assert error.permanent


def test_a_certificate_of_another_ca_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    made = make(tmp_path)
    for ca in (certificates.ca, None):
        error = failure(made, ca)
        assert "is refused" in str(error)
        assert error.permanent


def test_a_server_without_tls_is_no_https_server(certificates: Certificates) -> None:
    error = failure(certificates, certificates.ca, secure=False)
    assert "speaks no TLS" in str(error)


def test_a_server_with_tls_is_no_http_server(certificates: Certificates) -> None:
    async def ran() -> None:
        context = tls(certificates.certificate, certificates.key)
        async with serving(ScriptedApp(), context=context) as (_, port), client(port, timeout_s=3) as asking:
            with pytest.raises(TransportError):
                await asking.exchange(b"x")

    asyncio.run(ran())


def test_a_handshake_that_never_ends_is_ended(certificates: Certificates) -> None:
    async def ran() -> None:
        context = tls(certificates.certificate, certificates.key)
        async with serving(ScriptedApp(), Limits(head_s=0.4), context) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x16\x03\x01")
            async with asyncio.timeout(3):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(ran())


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://a:0",
        "https://a:99999",
        "https://a:x",
        "https://u:p@a",
        "https://a/?x",
        "https://a/#x",
        "https://a b",
        "https://a\r\nX: y",
        "https://\xe4",
        "HTTPS",
        "https://[::1",
        "http://" + "a" * 70,
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="allowed: https://HOST"):
        HttpTransport.connect(url, token=str)


def test_addresses_that_are_taken() -> None:
    assert parsed("HTTPS://Shard.Example.org").origin == "https://shard.example.org"
    assert parsed("https://[::1]:8443/eu/").authority == "[::1]:8443"
    assert parsed("https://[::1]:8443/eu/").prefix == "/eu"
    assert parsed("http://a:80").authority == "a"


def test_a_ca_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for ca in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(InputError, match="allowed: a PEM file of certificates"):
            HttpTransport.connect("https://localhost", token=str, ca=ca)
    with pytest.raises(InputError, match="write https"):
        HttpTransport.connect("http://localhost", token=str, ca=tmp_path / "empty.pem")


@pytest.mark.parametrize("timeout_s", [0, -1, 3601, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout_s: float) -> None:
    with pytest.raises(InputError, match="timeout_s"):
        HttpTransport.connect("https://localhost", token=str, timeout_s=timeout_s)


@pytest.mark.parametrize("token", ["a\r\nX: y", "a b", "\xe9", "\0"])
def test_a_token_that_would_break_the_request_never_leaves(token: str) -> None:
    async def ran() -> None:
        app = ScriptedApp()
        async with serving(app) as (_, port):
            async with HttpTransport.connect(f"http://127.0.0.1:{port}", token=lambda: token) as asking:
                with pytest.raises(TransportError, match="the token has other characters") as caught:
                    await asking.exchange(b"x")
                assert caught.value.permanent
            assert server_saw(app) == []

    def server_saw(app: ScriptedApp) -> list[tuple[str, bytes]]:
        return app.seen

    asyncio.run(ran())


@pytest.mark.parametrize("path", ["", "v1/health", "/a b", "/a\r\nX: y", "/\xe9"])
def test_a_path_that_would_break_the_request_never_leaves(path: str) -> None:
    async def ran() -> None:
        async with client(9) as asking:
            with pytest.raises(InputError):
                await asking.get(path, max_bytes=1)

    asyncio.run(ran())


def test_a_prefix_stands_before_every_path() -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await heard(reader)).split(b"\r\n")[0])
        writer.write(GOOD)

    async def ran() -> None:
        async with rogue(talk) as port:
            url = f"http://127.0.0.1:{port}/europe/"
            async with HttpTransport.connect(url, token=lambda: TOKEN) as asking:
                await asking.exchange(b"x")

    asyncio.run(ran())
    assert asked == [b"POST /europe/v1/sync HTTP/1.1"]


def test_retry_after_may_be_a_date() -> None:
    def dated(moment: datetime) -> float | None:
        return retry_after_s(moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))

    now = datetime.now(UTC)
    assert 58 < (dated(now + timedelta(minutes=1)) or 0) <= 60
    assert dated(now - timedelta(hours=1)) == 0
    assert dated(now + timedelta(days=900)) == 86_400


@given(st.text(max_size=60))
def test_any_retry_after_is_within_reason_or_none(text: str) -> None:
    found = retry_after_s(text)
    assert found is None or 0 <= found <= 86_400


def test_without_the_extra_it_is_named() -> None:
    code = """
import sys
sys.modules["httptools"] = None
from omega.core.errors import MissingExtraError
from omega.compose import connect
try:
    connect("https://localhost", token=str)
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "httptools is not installed, it comes with an extra: pip install 'exogenesis-omega[device]'\n"


def test_a_question_costs_few_bytes_besides_its_frame() -> None:
    sizes: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sizes.append(len(await heard(reader)))
        writer.write(GOOD)

    async def ran() -> None:
        async with rogue(talk) as port, client(port) as asking:
            await asking.exchange(b"x")

    asyncio.run(ran())
    assert sizes[0] - len(TOKEN) < 120
