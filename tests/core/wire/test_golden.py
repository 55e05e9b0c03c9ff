"""The files that other languages read are what this program writes, takes and refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import zstandard

from omega.core.errors import WireError
from omega.core.wire.frames import PULL_LIMIT, decode, encode
from omega.core.wire.messages import in_wire_order
from tests.vectors import golden

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = (1, 5, 7)
"""The zstd whose compressed bytes the golden frames hold; another may choose others that mean the same."""
same_zstd = pytest.mark.skipif(zstandard.ZSTD_VERSION != LIBRARY, reason="another zstd compresses otherwise")


@pytest.mark.parametrize("name", golden.MESSAGES)
def test_a_golden_frame_means_its_message(name: str) -> None:
    frame = (golden.FOLDER / f"{name}.bin").read_bytes()
    assert decode(frame, max_bytes=PULL_LIMIT) == in_wire_order(golden.MESSAGES[name])


@pytest.mark.parametrize("name", golden.MESSAGES)
def test_a_message_gives_its_golden_frame(name: str) -> None:
    frame = (golden.FOLDER / f"{name}.bin").read_bytes()
    if not frame[1] & 8 or zstandard.ZSTD_VERSION == LIBRARY:
        assert encode(golden.MESSAGES[name]) == frame


@same_zstd
def test_the_index_is_the_programs_own() -> None:
    assert (golden.FOLDER / "frames.json").read_bytes() == golden.index(), "run python tests/vectors/golden.py"


def test_the_index_names_every_file() -> None:
    lines = msgspec.json.decode((golden.FOLDER / "frames.json").read_bytes())
    named: dict[Path, int] = {golden.FOLDER / f"{line['name']}.bin": line["bytes"] for line in lines if "bytes" in line}
    assert named == {file: file.stat().st_size for file in golden.FOLDER.glob("*.bin")}


@pytest.mark.parametrize("name", golden.refused())
def test_a_bad_frame_is_refused_with_its_code(name: str) -> None:
    frame, code = golden.refused()[name]
    with pytest.raises(WireError, match=": ") as refusal:
        decode(frame, max_bytes=PULL_LIMIT)
    assert refusal.value.code is code


def test_the_golden_frames_show_every_kind_and_section() -> None:
    frames = golden.frames().values()
    assert {frame[1] & 7 for frame in frames} == {1, 2, 3, 4}
    assert {frame[1] >> 3 for frame in frames} == {0, 1, 3}
