"""The dump tells every byte of a frame once."""

from __future__ import annotations

import pytest

from omega.core.errors import WireError
from omega.core.wire import dump
from omega.core.wire.frames import encode
from omega.core.wire.sections import put_sections
from tests.vectors import golden

STORED = [name for name, frame in golden.frames().items() if not frame[1] & 8]


@pytest.mark.parametrize("name", STORED)
def test_the_fields_of_a_stored_frame_are_its_bytes_in_order(name: str) -> None:
    frame = golden.frames()[name]
    fields = dump.fields(frame)
    assert b"".join(field.data for field in fields) == frame
    assert all(frame[field.at : field.at + len(field.data)] == field.data for field in fields)
    assert all(field.what for field in fields)


def test_a_compressed_frame_is_followed_by_its_body() -> None:
    frame = encode(golden.MESSAGES["push-100"])
    put_sections(body := bytearray(), golden.MESSAGES["push-100"])
    data = b"".join(field.data for field in dump.fields(frame))
    assert data == frame[:-4] + bytes(body) + frame[-4:]


def test_the_table_names_what_it_shows() -> None:
    lines = dump.table(golden.frames()["push-5"]).splitlines()
    assert lines[0] == "   0  e1                                magic and version: 0xe1"
    assert "successes" in lines[-2]
    assert max(map(len, lines)) < 100


def test_a_bad_frame_has_no_fields() -> None:
    with pytest.raises(WireError):
        dump.fields(b"\xe1" * 20)
