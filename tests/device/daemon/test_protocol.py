"""What is said on the socket, without one: any line gets one line back, and no line does harm."""

from __future__ import annotations

import json
import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega import __version__
from omega.core.errors import CatalogError, DaemonError, MissingExtraError, OmegaError, StoreError
from omega.core.parsing import MAX_JSON_BYTES
from omega.device.daemon.protocol import (
    MAX_IMPORT_BYTES,
    METHODS,
    PROTOCOL,
    Caller,
    Lines,
    Method,
    answer,
    line_limit,
    too_long,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain

OWNER, STRANGER = Caller(0, 1, owner=True), Caller(65_534, 2, owner=False)
HEAT = {"content_id": "heat-1995", "watch_pct": 0.95}


class Nothing(msgspec.Struct):
    pass


@pytest.fixture
def brain(open_brain: OpenBrain) -> Brain:
    return open_brain()


def told(brain: Brain, line: object, caller: Caller = OWNER, **methods: Method) -> Any:
    raw = line if isinstance(line, bytes) else msgspec.json.encode(line)
    reply = answer(raw, brain, caller, {**METHODS, **methods})
    assert reply.line.count(b"\n") == 1
    assert reply.line.endswith(b"\n")
    assert b"Traceback" not in reply.line
    return json.loads(reply.line)


def raising(error: Exception) -> Method:
    def call(brain: Brain, asked: object) -> None:
        raise error

    return Method(Nothing, call)


def test_the_handshake_names_version_protocol_space_and_mode(brain: Brain) -> None:
    found = told(brain, {"id": 1, "method": "init"})["result"]
    assert found["version"] == __version__
    assert (found["protocol"], found["space"], found["mode"]) == (PROTOCOL, "fake-words-1", "learning")


def test_each_method_says_what_the_brain_says(brain: Brain) -> None:
    seen = told(brain, {"id": 1, "method": "observe", "params": {"event": HEAT}})
    assert (seen["id"], seen["ok"], seen["result"]["content_id"]) == (1, True, "heat-1995")
    context = {"time": "evening", "day": "weekend"}
    listed = told(brain, {"id": 2, "method": "recommend", "params": {"context": context, "k": 3}})["result"]
    assert len(listed) == 3
    assert told(brain, {"id": 3, "method": "why", "params": {"content_id": "heat-1995"}})["result"]["excluded"]
    assert told(brain, {"id": 4, "method": "status"})["result"]["events"] == 1
    assert len(told(brain, {"method": "recommend", "params": {"context": None}})["result"]) == 20


@pytest.mark.parametrize("request_id", [0, -1, 2**63 - 1, "a", "", "é\n", None])
def test_the_id_comes_back(brain: Brain, request_id: object) -> None:
    assert told(brain, {"id": request_id, "method": "status"})["id"] == request_id
    assert told(brain, {"id": request_id, "method": "nonsense"})["id"] == request_id
    assert told(brain, {"id": request_id, "method": "status", "unknown": 1})["id"] == request_id


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "a request: "),
        (b"hello", "a request: "),
        (b"[1]", "allowed: a JSON object with id, method, params"),
        (b'{"method": 1}', "Expected `str`, got `int` - at `$.method`"),
        (b'{"method": "status", "id": 1.5}', "$.id"),
        (b'{"method": "status", "id": 9223372036854775808}', "$.id"),
        (b'{"method": "dance"}', "method is 'dance', allowed: init, observe, recommend, why, "),
        (b'{"method": "status", "params": {"k": 1}}', "params of status: Object contains unknown field `k`"),
        (b'{"method": "status", "params": null}', "allowed: an empty JSON object"),
        (b'{"method": "recommend", "params": {"k": 0}}', "k is 0, allowed: 1..10,000"),
        (b'{"method": "recommend", "params": {"k": "x"}}', "allowed: a JSON object with context, k"),
        (
            b'{"method": "recommend", "params": {"context": {"time": "noon"}}}',
            'time is "noon", allowed: one of',
        ),
        (b'{"method": "recommend", "params": {"context": {"mood": "\xff"}}}', "context is "),
        (b'{"method": "observe", "params": {}}', "missing required field `event`"),
        (b'{"method": "observe", "params": {"event": {"content_id": "heat-1995", "watch_pct": 7}}}', "watch_pct is 7"),
        (b'{"method": "why", "params": {"content_id": "heat-1996"}}', "content_id is 'heat-1996'"),
        (b'{"method": "status"} {"method": "status"}', "a request: "),
        (b"[" * 60_000, "a request: "),
    ],
)
def test_a_wrong_request_is_refused_in_the_librarys_words(brain: Brain, line: bytes, words: str) -> None:
    fault = told(brain, line)["error"]
    assert (fault["code"], fault["exit_code"]) == ("input", 2)
    assert words in fault["message"]
    assert len(fault["message"]) < 500
    assert brain.status().events == 0


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (CatalogError("no row"), "input", 2),
        (StoreError("disk full"), "store", 3),
        (MissingExtraError("numpy", "device"), "plugin", 4),
        (OmegaError("did not end well"), "internal", 1),
    ],
)
def test_an_error_of_the_librarys_keeps_its_branch_and_its_words(
    brain: Brain, error: OmegaError, code: str, exit_code: int
) -> None:
    fault = told(brain, {"method": "fail"}, fail=raising(error))["error"]
    assert fault == {"code": code, "exit_code": exit_code, "message": str(error)}


@pytest.mark.parametrize("error", [ZeroDivisionError("Heat"), MemoryError("Heat"), RecursionError("Heat")])
def test_a_bug_is_told_without_its_words_and_logged_with_its_place(
    brain: Brain, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        fault = told(brain, {"id": 7, "method": "fail"}, fail=raising(error))
    assert (fault["id"], fault["error"]["code"], fault["error"]["exit_code"]) == (7, "internal", 70)
    assert "Heat" not in fault["error"]["message"] + caplog.text
    assert f"bug in fail: {type(error).__name__} at " in caplog.text
    assert "test_protocol.py:" in caplog.text


def test_what_is_the_owners_is_denied_to_others_before_it_is_looked_at(brain: Brain) -> None:
    called = []
    secret = Method(Nothing, lambda brain, asked: called.append(1), owner_only=True)
    fault = told(brain, {"id": 1, "method": "secret", "params": 5}, STRANGER, secret=secret)["error"]
    assert (fault["code"], fault["exit_code"], called) == ("denied", DaemonError.exit_code, [])
    assert "uid 65534, allowed: the daemon's own user and root" in fault["message"]
    assert told(brain, {"method": "status"}, STRANGER)["ok"]
    assert told(brain, {"id": 1, "method": "secret"}, secret=secret)["ok"]
    assert called == [1]


def test_only_the_owners_shutdown_stops(brain: Brain) -> None:
    line = b'{"method": "shutdown"}'
    assert answer(line, brain, OWNER).stops
    assert not answer(line, brain, STRANGER).stops
    assert not answer(b'{"method": "shutdown", "params": {"now": true}}', brain, OWNER).stops
    assert not answer(b'{"method": "status"}', brain, OWNER).stops


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*METHODS, "dance"]) | json_values
params = st.dictionaries(st.sampled_from(["event", "context", "k", "content_id", "x"]), json_values, max_size=3)
requests = st.fixed_dictionaries({}, optional={"id": json_values, "method": names, "params": params | json_values})
several_runs = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)


@several_runs
@given(line=st.binary(max_size=200))
def test_any_bytes_get_one_refusal(brain: Brain, line: bytes) -> None:
    assert told(brain, line)["error"]["code"] == "input"


@several_runs
@given(request=requests)
def test_any_json_gets_one_answer_and_never_a_bug(brain: Brain, request: dict[str, object]) -> None:
    reply = told(brain, json.dumps(request).encode())  # the standard library also writes NaN, and integers of any size
    assert reply["ok"] or reply["error"]["code"] == "input", reply


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(data=st.binary(max_size=60).map(lambda b: b.replace(b"\x01", b"\n")), cuts=st.lists(st.integers(0, 60)))
def test_lines_are_the_same_however_their_bytes_come(data: bytes, cuts: list[int]) -> None:
    lines = Lines(line_limit)
    found = [line for piece in pieces(data, cuts) for line in lines.feed(piece)]
    assert found == data.split(b"\n")[:-1]
    assert lines.begun is (not data.endswith(b"\n") and data != b"")


@pytest.mark.parametrize("step", [1_000, 65_536, 1_000_000])
def test_a_line_that_is_too_long_is_thrown_away_and_the_next_one_is_read(step: int) -> None:
    data = b"x" * MAX_JSON_BYTES + b"\n" + b"y" * (3 * MAX_JSON_BYTES) + b"\nnext\n"
    lines = Lines(line_limit)
    found, most = [], 0
    for start in range(0, len(data), step):
        found += lines.feed(data[start : start + step])
        most = max(most, len(lines._buffer))
    assert found == [b"x" * MAX_JSON_BYTES, MAX_JSON_BYTES, b"next"]
    assert most <= MAX_JSON_BYTES
    assert json.loads(too_long(MAX_JSON_BYTES).line)["error"]["message"].startswith("the line is longer than 65,536 B")


@pytest.mark.parametrize(
    ("head", "long"),
    [
        (b'{"method":"import","params":', True),
        (b' { "id" : 12 , "method" : "import"', True),
        (b'{"id":"a b","method":"import"', True),
        (b'{"params":{},"method":"import"', False),
        (b'{"id":{"method":"import"', False),
        (b'{"method":"status"', False),
        (b'{"method":"imports"', False),
        (b"\xff\xfe", False),
    ],
)
def test_only_a_line_that_names_an_import_first_may_be_longer(head: bytes, long: object) -> None:
    methods = {**METHODS, "import": Method(Nothing, lambda brain, asked: None, max_bytes=MAX_IMPORT_BYTES)}
    limit: Callable[[bytes], int] = lambda begun: line_limit(begun, methods)  # noqa: E731
    assert limit(head) == (MAX_IMPORT_BYTES if long else MAX_JSON_BYTES)
    line = head.ljust(2 * MAX_JSON_BYTES)
    assert Lines(limit).feed(line + b"\n") == [line if long else MAX_JSON_BYTES]


def test_a_stranger_cannot_make_the_daemon_hold_a_long_line() -> None:
    guarded = Method(Nothing, lambda brain, asked: None, owner_only=True, max_bytes=MAX_IMPORT_BYTES)
    assert line_limit(b'{"method":"import"', {"import": guarded}, owner=True) == MAX_IMPORT_BYTES
    assert line_limit(b'{"method":"import"', {"import": guarded}, owner=False) == MAX_JSON_BYTES
