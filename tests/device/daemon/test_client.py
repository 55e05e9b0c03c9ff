"""The client is a brain to whoever uses it: the same values, the same errors; and it never waits for ever."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import DaemonError, InputError, OmegaError, PluginError, StoreError
from omega.core.types import ContentType, TimeSlot, ViewContext, ViewingEvent
from omega.device.daemon.client import Client, find
from omega.device.daemon.protocol import METHODS, PROTOCOL, Method
from omega.device.daemon.server import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.device.conftest import OpenBrain
    from tests.device.daemon.conftest import Serve

HEAT = ViewingEvent(content_id="heat-1995", watch_pct=0.95)
EVENING = ViewContext(time=TimeSlot.EVENING)


def test_every_method_can_be_called() -> None:
    assert {name for name in METHODS if not callable(getattr(Client, name, None))} == {"init", "import", "mode"}
    assert all(callable(getattr(Client, name)) for name in ("greet", "restore", "set_mode")), "their methods"


def test_it_says_what_the_brain_says(serve: Serve, open_brain: OpenBrain) -> None:
    ours, theirs = open_brain(), open_brain()
    with Client(serve(theirs)) as client:
        for event in (HEAT, ViewingEvent(content_id="x", title="Our film", kind=ContentType.MOVIE, watch_pct=1)):
            assert client.observe(event) == ours.observe(event)
        for context in (None, EVENING, ViewContext(mood="calm", kind=ContentType.SERIES)):
            assert client.recommend(context, 9) == ours.recommend(context, 9)
            assert client.why("heat-1995", context) == ours.why("heat-1995", context)
        assert client.recommend() == ours.recommend()
        assert client.status() == ours.status()


@pytest.mark.parametrize(
    "event",
    [
        ViewingEvent(content_id="heat-1995", watch_pct=7),
        ViewingEvent(content_id="heat-1995"),
        ViewingEvent(content_id="heat-1995", watch_pct=float("nan")),
        ViewingEvent(content_id="\ud800", watch_pct=1),
        ViewingEvent(content_id="x" * 100_000, watch_pct=1),
        ViewingEvent(content_id="nobody-knows", watch_pct=1),
    ],
)
def test_what_the_brain_refuses_is_refused_alike(serve: Serve, event: ViewingEvent) -> None:
    with Client(serve()) as client:
        with pytest.raises(InputError):
            client.observe(event)
        assert client.status().events == 0


def test_a_number_that_json_cannot_carry_is_refused(serve: Serve) -> None:
    with Client(serve()) as client, pytest.raises(InputError):
        client.recommend(k=-(2**70))


@pytest.mark.parametrize("error", [InputError, StoreError, PluginError, DaemonError])
def test_errors_come_back_as_their_own_class(serve: Serve, error: type[OmegaError]) -> None:
    def fail(brain: object, asked: object) -> None:
        raise ZeroDivisionError if error is DaemonError else error("found, allowed: do this")

    address = serve(methods={**METHODS, "status": Method(METHODS["status"].params, fail)})
    with Client(address) as client:
        with pytest.raises(OmegaError) as raised:
            client.status()
        assert type(raised.value) is error
        assert client.recommend(k=1), "a refusal doesn't end the conversation"


def test_a_daemon_that_is_not_there_is_said_to_be_started(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match=r"no daemon answers at .*/none .No such file.*: start one with omega device"):
        Client(tmp_path / "none")
    assert find(tmp_path) is None
    assert find(tmp_path / ("x" * 200)) is None
    assert find(tmp_path / "no" / "such") is None


def test_a_killed_daemons_socket_is_nobody(folder: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as killed:
        killed.bind(str(folder / "daemon.sock"))
    assert find(folder) is None


def test_a_killed_daemons_lock_does_not_lead_to_another_tvs_daemon(serve: Serve, folder: Path) -> None:
    address, lock = serve(), folder / "daemon.lock"
    lock.write_text(f'{{"pid": 1, "socket": "{address}"}}')
    assert find(folder) is None
    lock.write_text(f'{{"pid": {os.getpid()}, "socket": "{address}"}}')
    client = find(folder)
    assert client
    client.close()


def test_a_daemon_with_too_many_clients_is_no_reason_to_open_its_store(serve: Serve) -> None:
    address = serve(limits=Limits(clients=1))
    address.with_name("daemon.lock").write_text(f'{{"pid": 1, "socket": "{address}"}}')
    with Client(address), pytest.raises(DaemonError, match="there are 1 clients"):
        find(address.parent)


@pytest.fixture
def odd(folder: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A server that answers whatever it is told to, and says nothing when it has nothing left to say."""
    answers: list[bytes] = []
    address = folder / "odd.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(address))
        server.listen()
        server.settimeout(20)

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(ConnectionError):
                while connection.recv(65_536):
                    if answers:
                        connection.sendall(answers.pop(0))

        thread = threading.Thread(target=serve)
        thread.start()
        yield address, answers
        thread.join(20)
        assert not thread.is_alive()


def hello(protocol: int = PROTOCOL) -> bytes:
    handshake = f'{{"version":"9","protocol":{protocol},"space":"s","mode":"learning","pid":1}}'
    return f'{{"id":1,"ok":true,"result":{handshake}}}\n'.encode()


def test_another_protocol_is_noticed_at_once(odd: tuple[Path, list[bytes]]) -> None:
    odd[1].append(hello(99))
    with pytest.raises(DaemonError, match=r"speaks protocol 99, this is 1: start it again with this release .9 runs"):
        Client(odd[0])


def test_a_daemon_that_hangs_is_waited_for_only_so_long(odd: tuple[Path, list[bytes]]) -> None:
    odd[1].append(hello())
    with Client(odd[0], timeout_s=0.2) as client:
        began = time.monotonic()
        with pytest.raises(DaemonError, match="didn't answer status: it took too long: look into its log"):
            client.status()
        assert 0.1 < time.monotonic() - began < 5
        with pytest.raises(DaemonError, match="this client was closed"):
            client.status()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"id":1,"ok":true,"result":[]}\n', "it answered request 1 instead of 2"),
        (b'{"id":2,"ok":true,"result":[1]}\n', "its answer isn't understood"),
        (b"\xff\n", "its answer isn't understood"),
        (b"x" * 70_000, "it took too long"),
    ],
)
def test_an_answer_that_makes_no_sense_ends_the_conversation(
    odd: tuple[Path, list[bytes]], answer: bytes, words: str
) -> None:
    odd[1].extend([hello(), answer])
    with Client(odd[0], timeout_s=0.5) as client, pytest.raises(DaemonError, match=words):
        client.recommend()


def test_a_daemon_that_leaves_is_noticed(folder: Path) -> None:
    address = folder / "s"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(address))
        server.listen()
        leaving = threading.Thread(target=lambda: server.accept()[0].close())  # noqa: PLW0108  (accepts in there)
        leaving.start()
        with pytest.raises(DaemonError, match=r"it closed the connection|reset"):
            Client(address)
        leaving.join()


def test_an_answer_is_bounded(odd: tuple[Path, list[bytes]]) -> None:
    odd[1].extend([hello(), b"x" * 100_000])
    with (
        Client(odd[0], max_reply_bytes=10_000) as client,
        pytest.raises(DaemonError, match="longer than 10,000 B"),
    ):
        client.status()
