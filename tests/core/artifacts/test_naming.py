"""What a pull says of an artifact, there and back, through a frame."""

from __future__ import annotations

import pytest

from omega.core.artifacts.manifest import TV_LIMIT_BYTES, Kind, Named
from omega.core.artifacts.naming import CODES, from_wire, to_wire
from omega.core.wire import Artifact, ArtifactKind, Header, Pull, decode, encode


@pytest.mark.parametrize("kind", TV_LIMIT_BYTES)
def test_every_kind_for_tvs_comes_through_a_frame_as_itself(kind: Kind) -> None:
    named = Named(kind, bytes(range(16)), 127_482, 2**53 - 1)
    header = Header(space=1, lineage=2, epoch=3)
    pull = decode(encode(Pull(header=header, pull_id=1, artifacts=(to_wire(named),))), max_bytes=1_000)
    assert isinstance(pull, Pull)
    assert [from_wire(artifact) for artifact in pull.artifacts] == [named]


def test_the_numbers_are_the_wires_own() -> None:
    assert sorted(CODES.values()) == list(ArtifactKind)
    assert CODES[Kind.CATALOG] == 1
    assert CODES[Kind.WEIGHTS] == 5


def test_a_board_has_no_number_on_the_wire() -> None:
    assert set(CODES) == set(TV_LIMIT_BYTES) == set(Kind) - {Kind.BOARD}


def test_a_kind_of_a_later_program_is_passed_over() -> None:
    assert from_wire(Artifact(200, 1, bytes(16), 9)) is None
