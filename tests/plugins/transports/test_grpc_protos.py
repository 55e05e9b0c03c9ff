"""The public contract: its generated code is that of its files, and what it says of an event is what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from google.protobuf.json_format import MessageToJson

from omega.core.parsing import parse_event
from omega.core.types import ContentType, TimeSlot, ViewingEvent
from omega_plugins.transports.grpc.protos import generate
from omega_plugins.transports.grpc.protos.omega_sync_v1 import events_pb2

if TYPE_CHECKING:
    from pathlib import Path


def test_the_generated_code_is_that_of_the_proto_files(tmp_path: Path) -> None:
    made = generate.generate(tmp_path)
    assert [proto.stem for proto in generate.PROTOS] == ["events", "patterns", "sync"]
    assert len(made) == 6
    for file in made:
        kept = generate.ROOT / file.relative_to(tmp_path)
        assert file.read_text() == kept.read_text(), "run ./run protos"


def test_an_events_json_is_what_observe_reads() -> None:
    event = events_pb2.ViewingEvent(
        content_id="our-wedding",
        watch_pct=0.5,
        minutes=40,
        at="2026-11-21T20:30:00+01:00",
        season=1,
        episode=2,
        profile="kids",
        liked=False,
        title="Our wedding",
        kind="movie",
        genres=["family"],
    )
    told = parse_event(MessageToJson(event, preserving_proto_field_name=True))
    assert (told.content_id, told.watch_pct, told.minutes, told.season, told.episode) == ("our-wedding", 0.5, 40, 1, 2)
    assert (told.profile, told.liked, told.title, told.kind) == ("kids", False, "Our wedding", ContentType.MOVIE)
    assert (told.genres, told.at and told.at.hour) == (("family",), 20)
    least = events_pb2.ViewingEvent(content_id="heat-1995", watch_pct=0)
    assert parse_event(MessageToJson(least, preserving_proto_field_name=True)).watch_pct == 0


def test_the_contract_has_the_fields_and_times_that_the_program_has() -> None:
    fields = {field.name for field in events_pb2.ViewingEvent.DESCRIPTOR.fields}
    assert fields == {field.name for field in msgspec.structs.fields(ViewingEvent)}
    assert events_pb2.TimeOfDay.keys()[1:] == [f"TIME_OF_DAY_{time.name}" for time in TimeSlot]
