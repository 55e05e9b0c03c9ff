"""The short way reads what it takes as httptools does, and leaves the rest to it."""

from __future__ import annotations

import asyncio

import httptools
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from omega.core.testing.transport_contract import TOKEN, ScriptedApp
from omega_plugins.transports.http.door import token_and_length
from omega_plugins.transports.http.shortcut import Whole, whole
from tests.plugins.transports.places import post, said, serving, statuses

HEAD_BYTES, BODY_BYTES = 400, 100
NAMES = (
    "Host",
    "Content-Length",
    "content-length",
    "Authorization",
    "Accept",
    "Connection",
    "Expect",
    "X-Other",
    "Via",
)
PLAIN = b"POST /v1/sync HTTP/1.1\r\nHost: tv\r\nContent-Length: 3\r\nAuthorization: Bearer a-token\r\n\r\nabc"


class Parsed:
    """What httptools makes of a request."""

    def __init__(self, data: bytes) -> None:
        self.url, self.body, self.complete = b"", b"", 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


def agrees(data: bytes) -> bool:
    """Say whether the short way takes these bytes; if so, httptools must read the same."""
    found = whole(data, HEAD_BYTES, BODY_BYTES)
    if found is None:
        return False
    parsed = Parsed(data)
    assert (parsed.url, parsed.parser.get_method(), parsed.parser.get_http_version()) == (b"/v1/sync", b"POST", "1.1")
    assert parsed.complete == 1
    assert parsed.parser.should_keep_alive()
    assert not parsed.parser.should_upgrade()
    token, declared = token_and_length(parsed.headers)
    assert found == Whole(token, parsed.body)
    assert declared == len(found.body)
    return True


def test_the_usual_form_is_taken() -> None:
    assert whole(PLAIN, HEAD_BYTES, BODY_BYTES) == Whole("a-token", b"abc")
    assert agrees(PLAIN)
    assert agrees(PLAIN.replace(b"Host: tv", b"HOST:tv").replace(b": Bearer", b":  Bearer").replace(b": 3", b":   3  "))


@given(
    st.text("aB0-_", max_size=9) | st.text(max_size=3), st.binary(max_size=12), st.sampled_from(("Bearer ", "bearer "))
)
def test_a_head_that_was_seen_before_is_read_anew(token: str, body: bytes, kind: str) -> None:
    usual = kind == "Bearer " and not token.strip("aB0-_")
    request = f"POST /v1/sync HTTP/1.1\r\nContent-Length: {len(body)}\r\nAuthorization: {kind}{token}\r\n\r\n"
    try:
        assert agrees(request.encode() + body) or not usual
    except httptools.HttpParserError:
        assert not usual


lines = st.tuples(st.sampled_from(NAMES), st.sampled_from((": ", ":", " : ", ":\t", "")), st.text(max_size=8))
lengths = st.tuples(st.just("Content-Length"), st.just(": "), st.sampled_from(("3", "03", "+3", "4", "3, 3", "٣")))


@given(st.lists(lines | lengths, max_size=6), st.sampled_from(("\r\n", "\n", "\r\n ")), st.binary(max_size=5))
def test_headers_of_any_kind_are_read_alike_or_left(headers: list[tuple[str, str, str]], end: str, body: bytes) -> None:
    fields = "".join("".join(header) + end for header in headers)
    agrees(f"POST /v1/sync HTTP/1.1\r\n{fields}\r\n".encode() + body)


@given(st.integers(0, len(PLAIN)), st.integers(0, 6), st.binary(max_size=6))
def test_an_altered_request_is_read_alike_or_left(at: int, cut: int, put: bytes) -> None:
    altered = PLAIN[:at] + put + PLAIN[at + cut :]
    try:
        Parsed(altered)
    except httptools.HttpParserError:
        assert not whole(altered, HEAD_BYTES, BODY_BYTES)
    else:
        agrees(altered)


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked",
        b"Content-Length: 3",
        b"Connection: close",
        b"Expect: 100-continue",
        b"Host: again",
        b" folded",
        b"Via: a\x00b",
        b"Via: a\rb",
        b"Via: \xff",
        b"Accept : x",
        b"Authorization: Bearer a-token",
    ],
)
def test_what_two_programs_might_read_differently_is_left(line: bytes) -> None:
    assert whole(PLAIN.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n"), HEAD_BYTES, BODY_BYTES) is None


@pytest.mark.parametrize("value", [b"Bearer b", b"Authorization: Bearer b", b"a Bearer "])
def test_a_token_in_another_header_is_none(value: bytes) -> None:
    line = b"\r\nVia: " + value + b"\r\n"
    before, behind = PLAIN.replace(b"\r\n", line, 1), PLAIN.replace(b"\r\n\r\n", line + b"\r\n")
    assert whole(before, HEAD_BYTES, BODY_BYTES) is None
    assert agrees(behind)


@given(st.integers(0, len(PLAIN) - 1))
def test_a_part_is_left_and_so_is_more_than_one(end: int) -> None:
    assume(end)
    assert whole(PLAIN[:end], HEAD_BYTES, BODY_BYTES) is None
    assert whole(PLAIN + PLAIN[:end], HEAD_BYTES, BODY_BYTES) is None


def test_bounds_are_the_parsers() -> None:
    head = len(PLAIN) - 3
    assert whole(PLAIN, head, 3)
    assert not whole(PLAIN, head - 1, 3)
    assert not whole(PLAIN, head, 2)


def test_both_ways_serve_one_connection_in_turn() -> None:
    app = ScriptedApp()
    usual, other = post(b"usual"), post(b"other").replace(b"\r\n\r\n", b"\r\nX-Other: 1\r\n\r\n")
    assert whole(usual, HEAD_BYTES, BODY_BYTES)
    assert not whole(other, HEAD_BYTES, BODY_BYTES)

    async def ran() -> bytes:
        async with serving(app, None) as (_, port):
            return await said(port, usual, other, usual[:30], usual[30:], usual, pause_s=0.05, quiet_s=0.3)

    assert statuses(asyncio.run(ran())) == [200] * 4
    assert app.seen == [(TOKEN, body) for body in (b"usual", b"other", b"usual", b"usual")]
