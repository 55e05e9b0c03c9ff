"""Many events: bad ones are named with their place, good ones kept."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

from omega.core.parsing import MAX_JSON_BYTES
from omega.device.batch import observe_all, read_events
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device.conftest import OpenBrain

GOOD = b'{"content_id":"gladiator-2000","watch_pct":0.95}'


def test_bad_lines_are_named_and_good_ones_kept(open_brain: OpenBrain, tmp_path: Path) -> None:
    file = tmp_path / "week.jsonl"
    long = GOOD[:-1] + b" " * (3 * MAX_JSON_BYTES) + b"}"
    lines = [GOOD, b"", b'{"content_id":"nobody","watch_pct":1}', b"  ", b"{", long, GOOD + b"\r", b"\xff", GOOD]
    file.write_bytes(b"\n".join(lines))
    store = MemoryDeviceStore()
    batch = observe_all(open_brain(store), read_events([str(file)]))
    assert [observed.outcome for observed in batch.observed] == ["added", "repeated", "repeated"]
    assert [rejected.place for rejected in batch.rejected] == [f"week.jsonl line {n}" for n in (3, 5, 6, 8)]
    assert "content_id is 'nobody'" in batch.rejected[0].reason
    assert "allowed 65,536 B" in batch.rejected[2].reason
    assert store.event_count() == 1, "three times the same title at the same second is one event"


def test_a_line_at_the_limit_is_read_whole(tmp_path: Path) -> None:
    whole = GOOD.ljust(MAX_JSON_BYTES)
    (tmp_path / "f").write_bytes(whole + b"\r\n" + whole + b"\n" + whole + b" \n" + whole)
    events = [data for _, data in read_events([str(tmp_path / "f")]) if isinstance(data, bytes)]
    assert [len(data) for data in events] == [MAX_JSON_BYTES, MAX_JSON_BYTES, MAX_JSON_BYTES + 1, MAX_JSON_BYTES]
    assert events[0] == whole


def test_objects_and_files_are_sources(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    events = list(read_events([' {"content_id":"x"}', str(tmp_path / "a.jsonl"), '{"content_id":"\udcff"}']))
    assert events[:2] == [("event 1", b' {"content_id":"x"}'), ("a.jsonl line 1", GOOD)]
    assert events[2] == ("event 3", b'{"content_id":"\xff"}'), "an argument that is no UTF-8 stays as it was given"


def test_a_dash_is_standard_input() -> None:
    program = "from omega.device.batch import read_events; print(list(read_events(['-'])))"
    done = subprocess.run([sys.executable, "-c", program], input=b"\n" + GOOD, capture_output=True, check=True)
    assert ast.literal_eval(done.stdout.decode()) == [("stdin line 2", GOOD)]


def test_a_file_that_cant_be_read_is_named_and_the_others_are_kept(open_brain: OpenBrain, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(GOOD)
    sources = [str(tmp_path / "nowhere"), str(tmp_path), str(tmp_path / "good")]
    batch = observe_all(open_brain(), read_events(sources))
    assert len(batch.observed) == 1
    assert [rejected.place for rejected in batch.rejected] == sources[:2]
    assert "can't be read: No such file" in batch.rejected[0].reason
    assert "can't be read: Is a directory" in batch.rejected[1].reason
