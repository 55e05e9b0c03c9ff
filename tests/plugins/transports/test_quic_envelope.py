"""Questions and answers as bytes: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import InputError
from omega.core.ports import MAX_FRAME_BYTES
from omega_plugins.transports.quic.envelope import (
    MAX_QUESTION_BYTES,
    Get,
    Head,
    Sync,
    head_of,
    headed,
    opened,
    sealed,
)

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=200)
OFFSETS = st.integers(0, 2**63 - 1)
PARTS = st.tuples(OFFSETS, OFFSETS).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: range(*pair))


@given(st.one_of(st.builds(Sync, TEXT, st.binary()), st.builds(Get, TEXT, TEXT, st.none() | PARTS)))
def test_a_question_comes_out_as_it_went_in(question: Sync | Get) -> None:
    assert opened(sealed(question)) == question


def test_the_bytes_are_those_of_the_docs() -> None:
    assert sealed(Sync("ab", b"frame")) == b"\x01\x00\x02abframe"
    assert sealed(Get("/x", '"e"')) == b"\x02\x00\x02/x" + bytes(17) + b'"e"'
    assert sealed(Get("/x", part=range(1, 3)))[5:] == b"\x01" + bytes(7) + b"\x01" + bytes(7) + b"\x03"
    assert headed(Head(200, 5, 9)) == b"\x00\xc8\xff\xff\xff\xff" + bytes(7) + b"\x05" + bytes(7) + b"\x09\x00"
    assert headed(Head(503, 0, 0, 30, "e"))[:6] == b"\x01\xf7\x00\x00\x00\x1e"
    assert len(sealed(Sync("t" * 1024, bytes(MAX_FRAME_BYTES)))) == MAX_QUESTION_BYTES


@given(st.builds(Head, st.integers(100, 599), OFFSETS, OFFSETS, st.none() | st.integers(0, 86_400), TEXT), st.binary())
def test_a_head_is_known_once_it_is_whole(head: Head, body: bytes) -> None:
    data = headed(head)
    assert head_of(data + body) == (head, len(data))
    assert all(head_of(data[:size]) is None for size in range(len(data)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the question is 0 B"),
        (b"\x01\x00", "the question is 2 B"),
        (b"\x01\x00\x05ab", "after 2 of 5 B"),
        (b"\x01\x00\x01\n", "printable ASCII"),
        (b"\x01\x00\x01\xff", "printable ASCII"),
        (b"\x03\x00\x00", "of kind 3"),
        (b"\x01\x04\x01" + b"t" * 1025, "its name 1,025 B"),
        (b"\x02\x02\x01" + b"/" * 513 + bytes(17), "its name 513 B"),
        (b"\x02\x00\x01/" + bytes(16), "of kind 2"),
        (b"\x02\x00\x01/" + bytes(17) + b"e" * 256, "the etag is 256 B"),
        (b"\x02\x00\x01/" + bytes(17) + b"\x00", "the etag is 1 B"),
        (b"\x02\x00\x01/\x02" + bytes(16), "the part is 0..0"),
        (b"\x02\x00\x01/\x01" + bytes(16), "the part is 0..0"),
        (b"\x02\x00\x01/\x01" + bytes(8) + b"\xff" * 8, "the part is 0.."),
    ],
)
def test_what_is_no_question_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        opened(data)
    assert words in str(caught.value)


@given(st.binary(max_size=400))
def test_garbage_is_a_question_or_refused(data: bytes) -> None:
    with suppress(InputError):
        assert sealed(opened(data)) == data or data[:1] == b"\x02"


def test_what_is_too_long_never_leaves() -> None:
    for question in (Sync("t" * 1025, b""), Get("/" * 513), Get("/", "e" * 256)):
        with pytest.raises(InputError, match="allowed: "):
            sealed(question)
