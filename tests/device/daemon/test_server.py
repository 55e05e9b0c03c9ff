"""The server over real sockets: clients that stall, flood, leave, don't read, or may not."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.errors import StoreError
from omega.core.parsing import MAX_JSON_BYTES
from omega.device.daemon.client import Client
from omega.device.daemon.protocol import METHODS, Method
from omega.device.daemon.server import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain
    from tests.device.daemon.conftest import Serve, Wire

STATUS = {"id": 1, "method": "status"}
HEAT = {"id": "heat", "method": "observe", "params": {"event": {"content_id": "heat-1995", "watch_pct": 1}}}


def watched_at(minute: int) -> dict[str, object]:
    event = {"content_id": "heat-1995", "watch_pct": 1, "at": f"2026-01-05T19:{minute:02}:00Z"}
    return {"id": minute, "method": "observe", "params": {"event": event}}


class Nothing(msgspec.Struct):
    pass


def drip(client: Wire, data: bytes, pause_s: float) -> int:
    """Send byte by byte, or all at once without a pause, until the daemon hangs up; return how many bytes went."""
    sent = 0
    try:
        while sent < len(data):
            sent += client.socket.send(data[sent:] if pause_s == 0 else data[sent : sent + 1])
            time.sleep(pause_s)
    except (BrokenPipeError, ConnectionResetError):
        return sent
    pytest.fail("the daemon took it all")


def test_a_line_that_stalls_is_dropped_and_a_quiet_connection_is_not(
    serve: Serve, wire: Callable[[Path], Wire]
) -> None:
    address = serve(limits=Limits(line_s=0.2))
    quiet, slow = wire(address), wire(address)
    began = time.monotonic()
    drip(slow, b'{"method": "sta' * 99, pause_s=0.02)
    reply = slow.reply()
    assert 0.2 <= time.monotonic() - began < 5
    assert reply["error"]["code"] == "deadline"
    assert slow.reply() is None
    assert quiet.ask(STATUS)["ok"]


def test_lines_that_are_merely_apart_are_no_stall(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    client = wire(serve(limits=Limits(line_s=1)))
    for _ in range(12):
        client.send(b'{"method": "status"}\n{"meth')
        assert client.reply()["ok"]
        time.sleep(0.1)
        client.send(b'od": "status"}\n')
        assert client.reply()["ok"]


def test_a_line_too_long_is_refused_and_the_connection_goes_on(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    client = wire(serve())
    client.send(b'{"method": "status", "id": "' + b"x" * 2_000_000)
    client.send(b'"}\n', STATUS)
    refused, good = client.reply(), client.reply()
    assert refused["error"]["code"] == "input"
    assert f"{MAX_JSON_BYTES:,} B" in refused["error"]["message"]
    assert good["ok"]


def test_garbage_is_answered_line_by_line_and_blank_lines_are_nothing(
    serve: Serve, wire: Callable[[Path], Wire]
) -> None:
    client = wire(serve())
    client.send(b"\x00\xff\xfe\n\r\n  \nGET / HTTP/1.1\n", STATUS)
    assert [client.reply()["ok"] for _ in range(3)] == [False, False, True]


def test_requests_in_flight_are_answered_in_order(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    client = wire(serve())
    count = 500
    client.send(*({"id": number, "method": "status"} for number in range(count)))
    assert [client.reply()["id"] for _ in range(count)] == list(range(count))


def test_a_client_with_many_requests_in_flight_holds_up_no_other(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    done: list[str] = []

    def work(brain: Brain, asked: object) -> None:
        time.sleep(0.002)
        done.append("work")

    methods = {
        **METHODS,
        "work": Method(Nothing, work),
        "other": Method(Nothing, lambda brain, asked: done.append("other")),
    }
    address = serve(methods=methods)
    greedy, modest = wire(address), wire(address)
    greedy.send(*[{"method": "work"}] * 300)
    assert greedy.reply()["ok"]
    assert modest.ask({"method": "other"})["ok"]
    assert [greedy.reply()["ok"] for _ in range(299)] == [True] * 299
    assert done.index("other") < 250


def test_a_client_that_reads_nothing_is_dropped(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    address = serve(limits=Limits(write_s=0.2))
    deaf, good = wire(address), wire(address)
    line = msgspec.json.encode({"method": "recommend", "params": {"k": 800}}) + b"\n"
    assert drip(deaf, line * 100_000, pause_s=0) < 1_000_000, "what it doesn't serve stays with the client"
    assert good.ask(STATUS)["ok"]


def test_a_client_that_reads_slowly_gets_all_of_a_long_answer(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    long = "x" * 4_000_000
    methods = {**METHODS, "long": Method(Nothing, lambda brain, asked: long)}
    client = wire(serve(limits=Limits(write_s=0.2), methods=methods))
    client.send({"method": "long"}, STATUS)
    received = b""
    while received.count(b"\n") < 2:
        received += client.socket.recv(250_000)
        time.sleep(0.03)
    answers = [msgspec.json.decode(line) for line in received.splitlines()]
    assert answers[0]["result"] == long
    assert answers[1]["ok"]


def test_one_client_too_many_is_told_so_and_may_come_when_another_left(
    serve: Serve, wire: Callable[[Path], Wire]
) -> None:
    address = serve(limits=Limits(clients=2))
    first, second = wire(address), wire(address)
    assert first.ask(STATUS)["ok"]
    assert second.ask(STATUS)["ok"]
    third = wire(address)
    assert third.reply()["error"]["code"] == "busy"
    assert third.reply() is None
    first.close()
    for _ in range(100):
        again = wire(address)
        if again.ask(STATUS)["ok"]:
            return
        time.sleep(0.02)
    pytest.fail("the place of a client that left stays taken")


def test_what_came_whole_is_done_although_its_client_left_and_what_came_half_is_not(
    serve: Serve, wire: Callable[[Path], Wire], open_brain: OpenBrain
) -> None:
    address = serve(open_brain())
    leaver = wire(address)
    leaver.send(*(watched_at(minute) for minute in range(20)), msgspec.json.encode(watched_at(20)))
    leaver.close()
    watcher = wire(address)
    until = time.monotonic() + 10
    while (events := watcher.ask(STATUS)["result"]["events"]) < 20 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert events == watcher.ask(STATUS)["result"]["events"] == 20


def test_a_client_that_shuts_down_its_half_gets_its_answers(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    client = wire(serve())
    client.send(*[STATUS] * 50)
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.reply()["ok"] for _ in range(50)] == [True] * 50
    assert client.reply() is None


def test_idle_work_is_done_while_nobody_asks_and_only_then(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    budgets: list[float] = []

    def tend(budget_ms: float) -> None:
        budgets.append(budget_ms)
        raise (StoreError("disk full") if len(budgets) == 2 else ZeroDivisionError)

    client = wire(serve(limits=Limits(idle_s=0.4, tend_ms=7), tend=tend))
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        assert client.ask(STATUS)["ok"]
    assert len(budgets) <= 1, "between two requests there was no idle time, but before the first"
    until = time.monotonic() + 20
    while len(budgets) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(budgets) >= 3
    assert set(budgets) == {7}
    assert client.ask(STATUS)["ok"]


def test_the_socket_is_the_owners_and_the_groups(serve: Serve) -> None:
    facts = serve().stat()
    assert stat.S_ISSOCK(facts.st_mode)
    assert stat.S_IMODE(facts.st_mode) == 0o660
    assert facts.st_uid == os.geteuid()


AS_ANOTHER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
there = socket.socket(socket.AF_UNIX); there.connect(sys.argv[1])
there.sendall(b'{"id": 1, "method": "shutdown"}\\n{"id": 2, "method": "status"}\\n')
lines = there.makefile("rb")
sys.stdout.buffer.write(lines.readline() + lines.readline())
"""


def test_another_user_is_served_but_may_not_do_what_is_the_owners(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    if os.geteuid() == 0:
        address = serve()
        address.chmod(0o666)
        done = subprocess.run(
            [sys.executable, "-S", "-c", AS_ANOTHER, str(address)], capture_output=True, check=True, timeout=20
        )
        denied, served = (msgspec.json.decode(line) for line in done.stdout.splitlines())
        uid = 65_534
    else:  # then the daemon is another user's for this one
        uid = os.geteuid()
        client = wire(serve(owner_uid=uid + 1))
        denied, served = client.ask({"id": 1, "method": "shutdown"}), client.ask(STATUS)
    assert denied["error"]["code"] == "denied"
    assert f"uid {uid}" in denied["error"]["message"]
    assert served["ok"]


def test_a_user_outside_the_group_cannot_even_connect(serve: Serve) -> None:
    address = serve()
    if os.geteuid() != 0:
        assert not address.stat().st_mode & stat.S_IRWXO
        return
    done = subprocess.run(
        [sys.executable, "-S", "-c", AS_ANOTHER, str(address)], capture_output=True, check=False, timeout=20
    )
    assert b"PermissionError" in done.stderr


def test_a_shutdown_is_answered_and_then_nobody_is_there(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    address = serve()
    other = wire(address)
    assert other.ask(STATUS)["ok"]
    with Client(address) as client:
        client.shutdown()
    assert other.reply() is None
    until = time.monotonic() + 10
    while address.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not address.exists()


def test_stopping_answers_what_was_received(serve: Serve, wire: Callable[[Path], Wire]) -> None:
    begun = threading.Event()

    def work(brain: Brain, asked: object) -> str:
        begun.set()
        time.sleep(0.3)
        return "done"

    address = serve(methods={**METHODS, "work": Method(Nothing, work)})
    clients = [wire(address) for _ in range(3)]
    for client in clients:
        assert client.ask(STATUS)["ok"]
    clients[0].send({"method": "work"})
    assert begun.wait(10)
    stopper = wire(address)
    stopper.send({"method": "shutdown"})
    for client in clients[1:]:
        client.send(*[STATUS] * 200, b'{"half')
    assert clients[0].reply()["result"] == "done"
    for client in clients[1:]:
        assert [client.reply()["ok"] for _ in range(200)] == [True] * 200
        assert client.reply() is None
