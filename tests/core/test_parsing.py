"""JSON from outside: what is written down parses as written, all else is refused by field, value and range."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.clock import MachineZone, local_now
from omega.core.errors import InputError
from omega.core.parsing import MAX_JSON_BYTES, check_context, check_event, completed, parse_context, parse_event
from omega.core.types import ContentType, DayType, TimeSlot, ViewContext, ViewingEvent, slot_of

NOW = datetime(2026, 1, 5, 20, 0, tzinfo=timezone(timedelta(hours=1)))


def test_the_least_event_parses_as_written() -> None:
    assert parse_event('{"content_id":"abc","watch_pct":0.95}') == ViewingEvent(content_id="abc", watch_pct=0.95)


def test_the_context_with_a_mood_parses_as_written() -> None:
    assert parse_context('{"time":"evening","mood":"relaxed"}') == ViewContext(time=TimeSlot.EVENING, mood="relaxed")


def test_a_full_event_parses() -> None:
    event = parse_event(
        b'{"content_id":"x","minutes":41,"at":"2026-01-04T21:30:00+01:00","season":2,"episode":7,"title":"Ours",'
        b'"kind":"series","genres":["drama","war"]}'
    )
    assert (event.minutes, event.season, event.episode, event.title) == (41, 2, 7, "Ours")
    assert (event.kind, event.genres) == (ContentType.SERIES, ("drama", "war"))
    assert event.at == datetime(2026, 1, 4, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"content_id":"a","watch_pct":"x"}', ["watch_pct", '"x"', "0..1"]),
        ('{"content_id":"a","watch_pct":NaN}', ["watch_pct", "NaN", "0..1"]),
        ('{"content_id":"a","minutes":-Infinity}', ["minutes", "-Infinity", "0..1440"]),
        ('{"content_id":"a","season":1.5}', ["season", "1.5", "0..1000"]),
        ('{"content_id":7,"watch_pct":1}', ["content_id", "7", "1..128"]),
        ('{"content_id":"a","kind":"opera"}', ["kind", "opera", "movie, series, documentary"]),
        ('{"content_id":"a","at":"yesterday"}', ["at", "yesterday", "2000"]),
        ('{"content_id":"a","genres":["war",5]}', ["genres", "war", "list"]),
        ('{"watch_pct":0.5}', ["content_id", "missing", "1..128"]),
        ('{"content_id":"a","watched":0.5}', ["watched", "watch_pct"]),
        ('{"content_id":"a"', ["event", "JSON object", "watch_pct"]),
        ("[]", ["event", "JSON object"]),
        ("", ["event", "JSON object"]),
        (b'{"content_id":"\xff"}', ["event", "JSON object"]),
        ("\ud800", ["event", "JSON object"]),
        ("[" * 60_000, ["event", "JSON object"]),
    ],
)
def test_an_event_is_refused_by_field_value_and_range(data: bytes | str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        parse_event(data)
    message = str(refused.value)
    assert [word for word in words if word not in message] == []
    assert "allowed" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"time":"noon"}', ["time", "noon", "morning, afternoon, evening, night"]),
        ('{"day":"friday"}', ["day", "friday", "weekday, weekend"]),
        ('{"kind":"opera"}', ["kind", "opera", "movie, series, documentary"]),
        ('{"weather":"rain"}', ["weather", "time, day, mood, kind"]),
        ('{"mood":5}', ["mood", "5", "1..64"]),
    ],
)
def test_a_context_is_refused_by_field_value_and_range(data: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        parse_context(data)
    assert [word for word in [*words, "allowed"] if word not in str(refused.value)] == []


@pytest.mark.parametrize("data", ['{"content_id":"a","$.foo":1}', '{"content_id":"a","kind":"$.foo"}'])
def test_what_looks_like_a_path_of_the_decoder_is_refused_like_anything_else(data: str) -> None:
    with pytest.raises(InputError):
        parse_event(data)


@pytest.mark.parametrize(
    "data",
    [
        '{"content_id":"a","season":{"a":\n1}}',
        '{"content_id":"a","kind":"a\u2028b"}',
        '{"content_id":"a","kind":"\u009b31m"}',
        '{"content_id":"a","kind":"\u202eevil"}',
    ],
)
def test_a_refusal_stands_on_one_line_and_sends_nothing_to_the_terminal(data: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_event(data)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["می\u200cروم", "क्\u200dष", "劇場版\u3000名探偵", "Astérix\u00a0: le film"])
def test_names_of_any_script_are_taken(name: str) -> None:
    event = ViewingEvent(content_id="mine", title=name, watch_pct=1.0)
    assert check_event(event, now=NOW).title == name


def test_megabytes_are_refused_before_they_are_decoded() -> None:
    for huge in (b'{"content_id":"' + b"a" * 5_000_000 + b'"}', b"\xff" * 5_000_000):
        with pytest.raises(InputError, match=r"event is 5,000,0\d\d B, allowed 65,536 B"):
            parse_event(huge)
    padded = b'{"content_id":"a","watch_pct":1}'.ljust(MAX_JSON_BYTES)
    assert parse_event(padded).content_id == "a"


# Half of it almost an event, so that the decoder's every complaint is met.
ALMOST = st.dictionaries(
    st.sampled_from(["content_id", "watch_pct", "minutes", "at", "kind", "genres", "season", "title", "x"]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(max_size=3))),
)


@given(st.one_of(st.binary(), ALMOST.map(json.dumps)))
def test_anything_is_an_event_or_refused(data: bytes | str) -> None:
    try:
        event = check_event(parse_event(data), now=NOW)
    except InputError as error:
        assert "allowed" in str(error)  # noqa: PT017
    else:
        assert event.content_id


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"watch_pct": 1.7}, ["watch_pct", "1.7", "0..1"]),
        ({"watch_pct": -0.01}, ["watch_pct", "-0.01", "0..1"]),
        ({"watch_pct": math.nan}, ["watch_pct", "nan", "0..1"]),
        ({"minutes": -5}, ["minutes", "-5", "0..1440"]),
        ({"minutes": math.inf}, ["minutes", "inf", "0..1440"]),
        ({"season": 1001}, ["season", "1001", "0..1000"]),
        ({"episode": -1}, ["episode", "-1", "0..100000"]),
        ({"content_id": ""}, ["content_id", "1..128"]),
        ({"content_id": "a" * 129}, ["content_id", "1..128"]),
        ({"content_id": "a\nb"}, ["content_id", r"a\nb", "control"]),
        ({"title": "   "}, ["title", "1..200"]),
        ({"title": "x" * 201}, ["title", "1..200"]),
        ({"genres": ("war",) * 9}, ["genres", "at most 8"]),
        ({"genres": ("w" * 33,)}, ["genres", "1..32"]),
        ({"at": datetime(1890, 1, 1, tzinfo=UTC)}, ["at", "1890", "2000"]),
        ({"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}, ["at", "0001", "2000"]),
        ({"at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=14)))}, ["at", "9999", "tomorrow"]),
        ({"at": NOW + timedelta(days=1, seconds=1)}, ["at", "2026-01-06", "tomorrow"]),
        ({"watch_pct": None}, ["watch_pct", "missing", "minutes"]),
    ],
)
def test_a_value_out_of_range_is_refused_by_field_value_and_range(fields: dict[str, object], words: list[str]) -> None:
    event = ViewingEvent(**{"content_id": "a", "watch_pct": 0.5} | fields)  # type: ignore[arg-type]
    with pytest.raises(InputError) as refused:
        check_event(event, now=NOW)
    assert [word for word in [*words, "allowed"] if word not in str(refused.value)] == []


def test_the_ends_of_every_range_are_allowed() -> None:
    for fields in (
        {"watch_pct": 0.0, "minutes": 1440, "season": 0, "episode": 100_000},
        {"watch_pct": 1.0, "content_id": "a" * 128, "title": "é" * 200, "genres": ("g" * 32,) * 8},
        {"watch_pct": 1.0, "at": NOW + timedelta(days=1)},
        {"minutes": 0.0, "at": datetime(2000, 1, 1, tzinfo=UTC)},
    ):
        event = ViewingEvent(**{"content_id": "a"} | fields)
        assert check_event(event, now=NOW).content_id == event.content_id


def test_a_time_without_a_zone_is_local_and_none_is_now() -> None:
    local = datetime(2026, 1, 4, 21, 30)  # noqa: DTZ001
    event = ViewingEvent(content_id="a", watch_pct=1.0)
    assert check_event(event, now=NOW).at == NOW
    assert check_event(ViewingEvent(content_id="a", watch_pct=1.0, at=local), now=NOW).at == local.replace(
        tzinfo=NOW.tzinfo
    )


@pytest.mark.parametrize("mood", ["", " ", "m" * 65, "a\0b", "two\nlines"])
def test_a_mood_is_short_text(mood: str) -> None:
    with pytest.raises(InputError, match=r"mood is .*, allowed: text of 1..64"):
        check_context(ViewContext(mood=mood))
    assert check_context(ViewContext(mood="m" * 64)).mood == "m" * 64


def test_a_context_is_completed_by_the_clock() -> None:
    slot, filled = completed(ViewContext(mood="sad"), NOW)
    assert (slot, filled.time, filled.day, filled.mood) == (4, "evening", "weekday", "sad")
    slot, filled = completed(ViewContext(time=TimeSlot.NIGHT, day=DayType.WEEKEND), NOW)
    assert slot == slot_of(TimeSlot.NIGHT, DayType.WEEKEND)


def test_the_clock_keeps_the_households_zone() -> None:
    east = timezone(timedelta(hours=9))
    assert local_now(east).utcoffset() == timedelta(hours=9)
    assert abs(local_now(None) - datetime.now(UTC)) < timedelta(minutes=1)
    assert local_now(None).tzinfo is not None


def test_the_machines_zone_knows_summer_and_winter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        zone = MachineZone()
        hours = [(6, 30, 20), (12, 30, 20), (10, 25, 0), (10, 25, 1)]
        moments = [datetime(2026, month, day, hour, tzinfo=UTC) for month, day, hour in hours]
        local = [moment.astimezone(zone) for moment in moments]
        assert [moment.hour for moment in local] == [22, 21, 2, 2]
        assert [moment.fold for moment in local] == [0, 0, 0, 1]
        assert [moment.timestamp() for moment in local] == [moment.timestamp() for moment in moments]
        assert local[0].tzname() == "CEST"
        assert local_now().utcoffset() in (timedelta(hours=1), timedelta(hours=2))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "at", ["9999-12-31T23:59:59", "0001-01-01T00:00:00", "1890-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_a_year_that_no_zone_knows_is_refused_in_words(at: str) -> None:
    event = parse_event(f'{{"content_id":"abc","watch_pct":1,"at":"{at}"}}')
    with pytest.raises(InputError, match=r"at is .*, allowed: a time like"):
        check_event(event, now=local_now())
