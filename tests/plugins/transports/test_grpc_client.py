"""The client against servers that misbehave, certificates that don't fit, and connections that end."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError, TransportError
from omega.core.ports import MAX_REPLY_BYTES, Reply
from omega.core.testing.transport_contract import ScriptedApp, always
from omega_plugins.transports.certificates import make
from omega_plugins.transports.grpc import GrpcTransport
from omega_plugins.transports.grpc.address import parsed
from omega_plugins.transports.grpc.protos.omega_sync_v1 import sync_pb2
from omega_plugins.transports.grpc.server import GrpcServer, address_of, tls
from omega_plugins.transports.http.server import HttpServer, bind
from tests.plugins.transports.grpc_places import Relay, client, rogue, serving

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import TransportClient
    from omega_plugins.transports.certificates import Certificates


async def failing(asking: TransportClient, frame: bytes = b"x") -> TransportError:
    """Return the error of an exchange."""
    with pytest.raises(TransportError) as caught:
        await asking.exchange(frame)
    return caught.value


def of_rogue(*answers: bytes, get: bool = False) -> TransportError:
    """Return the error of asking a server that answers with these bytes."""

    async def ran() -> TransportError:
        async with rogue(*answers) as port, client(port) as asking:
            if not get:
                return await failing(asking)
            with pytest.raises(TransportError) as caught:
                await asking.get("/v1/health", max_bytes=100)
            return caught.value

    return asyncio.run(ran())


@pytest.mark.parametrize(
    "answer", [b"", b"\xff\xff", sync_pb2.SyncResponse(answer=sync_pb2.Answer()).SerializeToString()]
)
def test_an_answer_that_is_none_is_a_clean_error(answer: bytes) -> None:
    error = of_rogue(answer)
    assert "is broken" in str(error)
    assert not error.permanent


def test_a_long_answer_is_not_even_held() -> None:
    error = of_rogue(bytes(20 * MAX_REPLY_BYTES))
    assert "allowed: 65,536 B" in str(error)
    assert error.permanent


def part(data: bytes) -> bytes:
    return sync_pb2.FetchResponse(data=data).SerializeToString()


def info(coming_bytes: int) -> bytes:
    return sync_pb2.FetchResponse(info=sync_pb2.FileInfo(size_bytes=5, coming_bytes=coming_bytes)).SerializeToString()


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((), "doesn't begin with what is coming"),
        ((part(b"ab"),), "doesn't begin with what is coming"),
        ((b"\xff",), "no message of this method"),
        ((info(5), part(b"abcd")), "4 B of 5 B came"),
        ((info(5), part(b"abcd"), part(b"ef"), part(b"gh")), "6 B of 5 B came"),
        ((info(101), part(bytes(101))), "101 B, allowed: 100 B"),
    ],
)
def test_a_file_that_is_not_what_was_announced_is_none(answers: tuple[bytes, ...], reason: str) -> None:
    assert reason in str(of_rogue(*answers, get=True))


def failure(made: Certificates, ca: Path | None, host: str = "localhost") -> TransportError:
    """Return the error of asking a server with this certificate."""

    async def ran() -> TransportError:
        credentials = tls(made.certificate, made.key)
        async with serving(ScriptedApp(), credentials=credentials) as port:
            url = f"grpcs://{host}:{port}"
            async with GrpcTransport.connect(url, token=str, ca=ca, timeout_s=5) as asking:
                return await failing(asking)

    return asyncio.run(ran())


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path, days=10, now=datetime.now(UTC) - timedelta(days=12))
    error = failure(made, made.ca)
    assert "certificate has expired" in str(error)
    assert "renew it" in str(error)
    assert error.permanent


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path, hosts=["shard.example.org", "10.0.0.7"])
    for host in ("localhost", "127.0.0.1"):
        error = failure(made, made.ca, host)
        assert f"for {host} of a trusted CA" in str(error)
        assert error.permanent


def test_a_certificate_of_another_ca_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    made = make(tmp_path)
    system = bool(ssl.create_default_context().get_ca_certs())
    for ca in (certificates.ca, *([None] if system else [])):
        error = failure(made, ca)
        assert "of a trusted CA" in str(error)
        assert error.permanent


def test_a_shard_that_speaks_plain_or_http_is_no_grpcs_shard(certificates: Certificates) -> None:
    async def ran() -> None:
        async with serving(ScriptedApp()) as port, client(port, certificates.ca, timeout_s=3) as asking:
            error = await failing(asking)
            assert not error.permanent
            assert "TLS" in str(error)
        bound, server = bind("127.0.0.1", 0), HttpServer(ScriptedApp())
        task = asyncio.create_task(server.serve(bound))
        async with client(bound.getsockname()[1], timeout_s=3) as asking:
            assert not (await failing(asking)).permanent
        server.stop()
        await task

    asyncio.run(ran())


def test_a_shard_that_is_not_there_is_told_at_once() -> None:
    async def ran() -> None:
        bound = bind("127.0.0.1", 0)
        port = bound.getsockname()[1]
        bound.close()
        async with client(port) as asking:
            error = await failing(asking)
        assert f"grpc://127.0.0.1:{port} can't be reached" in str(error)
        assert "ask later" in str(error)
        assert not error.permanent
        async with client(port, host="no.such.host.invalid") as asking:
            assert "has no address" in str(await failing(asking))

    asyncio.run(ran())


def test_a_shard_that_comes_back_is_found_by_the_same_client() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp()) as port:
            asking = client(port)
            assert await asking.exchange(b"ab") == b"ba"
        for _ in range(3):
            assert not (await failing(asking)).permanent
        async with GrpcServer(ScriptedApp(), address_of("127.0.0.1", port)):
            async with asyncio.timeout(8):
                while True:
                    try:
                        assert await asking.exchange(b"ab") == b"ba"
                        break
                    except TransportError:
                        await asyncio.sleep(0.1)
        await asking.close()

    asyncio.run(ran())


def test_a_connection_that_died_in_silence_costs_one_question() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp()) as port:
            relay = Relay(port)
            async with relay.open() as way, client(way, timeout_s=0.5) as asking:
                for _ in range(3):
                    assert await asking.exchange(b"ab") == b"ba"
                assert relay.met == 1, "one channel is kept"
                relay.silent = True
                assert "within 0.5 s" in str(await failing(asking))
                assert await asking.exchange(b"ab") == b"ba"
                assert relay.met == 2

    asyncio.run(ran())


def test_a_question_on_its_way_is_answered_though_the_client_closes() -> None:
    async def slow(frame: bytes) -> Reply:
        await asyncio.sleep(0.2)
        return Reply(200, frame)

    async def ran() -> None:
        async with serving(ScriptedApp(slow)) as port:
            asking = client(port)
            asked = asyncio.create_task(asking.exchange(b"x"))
            await asyncio.sleep(0.1)
            await asking.close()
            assert await asked == b"x"

    asyncio.run(ran())


def test_one_that_waits_too_long_for_its_turn_is_given_up() -> None:
    async def slow(frame: bytes) -> Reply:
        await asyncio.sleep(0.5)
        return Reply(200, frame)

    async def ran() -> None:
        async with serving(ScriptedApp(slow)) as port, client(port, timeout_s=0.8) as asking:
            found = await asyncio.gather(*(asking.exchange(b"x") for _ in range(100)), return_exceptions=True)
            late = [error for error in found if isinstance(error, TransportError)]
            assert (found.count(b"x"), len(late)) == (64, 36)
            assert {str(error).partition("gave")[2] for error in late} == {" no answer within 0.8 s: ask later"}

    asyncio.run(ran())


def test_a_refusal_of_its_own_reaches_the_caller_whatever_grpc_calls_it() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(always(Reply(413, b"too much")))) as port, client(port) as asking:
            error = await failing(asking)
            assert "413: too much; send less" in str(error)
            assert error.permanent

    asyncio.run(ran())


@pytest.mark.parametrize("token", ["two words", "line\n", "\xe9"])
def test_a_token_that_is_none_never_leaves(token: str) -> None:
    async def ran() -> None:
        async with GrpcTransport.connect("grpc://127.0.0.1:1", token=lambda: token) as asking:
            error = await failing(asking)
            assert "enrol again" in str(error)
            assert error.permanent

    asyncio.run(ran())


@pytest.mark.parametrize(
    "url", ["grpc://h/prefix", "grpc://u@h", "grpcs://h?x=1", "grpc://h:0", "grpc://h:99999", "grpc://"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="allowed: grpcs://HOST"):
        parsed(url)


def test_an_address_has_a_port_of_its_own() -> None:
    assert parsed("grpcs://shard.example").origin == "grpcs://shard.example:50051"
    assert parsed("grpc://[::1]:7/").origin == "grpc://[::1]:7"


def test_a_ca_that_is_none_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"nothing")
    for url, ca in (
        ("grpcs://localhost", tmp_path / "none.pem"),
        ("grpcs://localhost", empty),
        ("grpc://localhost", certificates.ca),
    ):
        with pytest.raises(InputError, match="ca is"):
            GrpcTransport.connect(url, token=str, ca=ca)
    for timeout_s in (0, -1, 4000):
        with pytest.raises(InputError, match="timeout_s is"):
            GrpcTransport.connect("grpc://localhost", token=str, timeout_s=timeout_s)


def ran_apart(code: str, **environment: str) -> str:
    """Return what a Python of its own prints; it says nothing on stderr."""
    env = os.environ | environment
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stderr == ""
    return done.stdout


def test_without_the_extra_it_is_named_and_without_a_shard_of_its_kind_it_is_not_loaded() -> None:
    code = """
import sys
from omega import compose
compose.connect("http://localhost", token=str)
print("grpc" in sys.modules)
sys.modules["grpc"] = None
try:
    compose.connect("grpc://localhost", token=str)
except compose.MissingExtraError as error:
    print(error)
"""
    named = "grpc is not installed, it comes with an extra: pip install 'exogenesis-omega[grpc]'"
    assert ran_apart(code) == f"False\n{named}\n"


def test_what_goes_wrong_is_told_once_and_not_by_grpcs_core(tmp_path: Path, certificates: Certificates) -> None:
    assert "of a trusted CA" in ran_apart(asks(make(tmp_path), f"Path({str(certificates.ca)!r})"))


@pytest.mark.parametrize("how", ["file", "folder", "nothing"])
def test_without_a_ca_the_systems_authorities_are_trusted(tmp_path: Path, certificates: Certificates, how: str) -> None:
    folder, none = tmp_path / "authorities", str(tmp_path / "none")
    folder.mkdir()
    (folder / "0123abcd.0").write_bytes(certificates.ca.read_bytes())
    places = {
        "file": {"SSL_CERT_FILE": str(certificates.ca), "SSL_CERT_DIR": none},
        "folder": {"SSL_CERT_FILE": none, "SSL_CERT_DIR": str(folder)},
        "nothing": {"SSL_CERT_FILE": none, "SSL_CERT_DIR": none},
    }
    told = ran_apart(asks(certificates, "None"), **places[how])
    assert told == "b'x'\n" if how != "nothing" else "the system has no certificate authorities" in told


def asks(made: Certificates, ca: str) -> str:
    """A program that serves with a certificate and asks with a CA."""
    return f"""
import asyncio
from pathlib import Path
from omega.core.errors import OmegaError
from omega.core.testing.transport_contract import TOKEN, ScriptedApp
from omega_plugins.transports.grpc import GrpcTransport
from omega_plugins.transports.grpc.server import GrpcServer, address_of, tls

async def main():
    credentials = tls(Path({str(made.certificate)!r}), Path({str(made.key)!r}))
    async with GrpcServer(ScriptedApp(), address_of("127.0.0.1", 0), credentials=credentials) as server:
        url = f"grpcs://localhost:{{server.port}}"
        try:
            async with GrpcTransport.connect(url, token=lambda: TOKEN, ca={ca}) as asking:
                print(await asking.exchange(b"x"))
        except OmegaError as error:
            print(error)

asyncio.run(main())
"""
