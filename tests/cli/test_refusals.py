"""What is refused: exit code, one line that names field, value and range, and nothing stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from tests.cli.conftest import Omega, Process

EVENTS = {
    '{"content_id":"nope","watch_pct":0.5}': ("content_id is 'nope'", "an id of the catalog"),
    '{"content_id":"heat-1995","watch_pct":1.7}': ("watch_pct is 1.7", "0..1"),
    '{"content_id":"heat-1995","watch_pct":NaN}': ("watch_pct is NaN", "0..1"),
    '{"content_id":"heat-1995","watch_pct":-Infinity}': ("watch_pct is -Infinity", "0..1"),
    '{"content_id":"heat-1995","watch_pct":1e999}': ("watch_pct is", "0..1"),
    '{"content_id":"heat-1995","watch_pct":"x"}': ('watch_pct is "x"', "0..1"),
    '{"content_id":"heat-1995","minutes":-3}': ("minutes is -3", "0..1440"),
    '{"content_id":"heat-1995","watch_pct":1,"at":"1890-01-01T20:00:00"}': ("at is '1890-01-01", "2000 to tomorrow"),
    '{"content_id":"heat-1995","watch_pct":1,"at":"2100-01-01T20:00:00"}': ("at is '2100-01-01", "2000 to tomorrow"),
    '{"content_id":"heat-1995","watch_pct":1,"at":"yesterday"}': ('at is "yesterday"', "2000 to tomorrow"),
    '{"content_id":"heat-1995","watch_pct":1,"kind":"opera"}': ('kind is "opera"', "movie, series, documentary"),
    '{"content_id":"heat-1995","watch_pct":1,"season":-1}': ("season is -1", "0..1000"),
    '{"content_id":"","watch_pct":1}': ("content_id is ''", "1..128"),
    '{"content_id":"heat-1995"}': ("watch_pct is missing", "0..1"),
    '{"watch_pct":1}': ("content_id is missing", "1..128"),
    '{"content_id":"heat-1995","watched":1}': ("the field 'watched'", "watch_pct"),
    '{"content_id":"heat-1995","watch_pct":0.5': ("event is", "one JSON object"),
}
CONTEXTS = {
    '{"time":"noon"}': ('time is "noon"', "morning, afternoon, evening, night"),
    '{"day":"sunday"}': ('day is "sunday"', "weekday, weekend"),
    '{"kind":"opera"}': ('kind is "opera"', "movie, series, documentary"),
    '{"mood":"' + "x" * 65 + '"}': ("mood is", "1..64"),
    '{"weather":"rain"}': ("the field 'weather'", "time, day, mood, kind"),
    "relaxed": ("context is 'relaxed'", "one JSON object"),
    "": ("context is ''", "one JSON object"),
}
HEADER = "id,title,year,kind,genres,minutes,age\n"


def edit_card(folder: Path, **changes: object) -> None:
    """Change fields of a model card without telling its sums."""
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps(card | changes), encoding="utf-8")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event[-40:])
def test_an_event(omega: Omega, event: str) -> None:
    done = omega("device", "observe", event, code=2)
    for part in EVENTS[event]:
        assert part in done.complaint
    assert done.out == ""
    status = omega("device", "status", "--json").json
    assert (status["events"], status["patterns"], status["local_titles"]) == (0, 0, 0)


def test_five_megabytes_on_stdin(omega: Omega) -> None:
    done = omega("device", "observe", "-", stdin='{"content_id":"' + "x" * 5_000_000 + '","watch_pct":1}', code=2)
    assert "stdin line 1: event is" in done.complaint
    assert "65,536 B" in done.complaint
    assert len(done.complaint) < 200
    assert omega("device", "status", "--json").json["events"] == 0


def test_a_line_after_one_that_is_too_long_is_read_as_the_next(omega: Omega) -> None:
    lines = "x" * 300_000 + '\n{"content_id":"heat-1995","watch_pct":1}\n{"content_id":"heat-1995","watch_pct":2}\n'
    first, second = omega("device", "observe", "-", stdin=lines, code=2).err.splitlines()
    assert "stdin line 1: event is" in first
    assert "stdin line 3: watch_pct is 2" in second
    assert omega("device", "status", "--json").json["events"] == 1


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context[-20:] or "empty")
@pytest.mark.parametrize("command", [("recommend",), ("why", "heat-1995")], ids=lambda command: command[0])
def test_a_context(omega: Omega, command: tuple[str, ...], context: str) -> None:
    done = omega("device", *command, "--context", context, code=2)
    for part in CONTEXTS[context]:
        assert part in done.complaint


@pytest.mark.parametrize("k", ["0", "-1"])
def test_a_number_of_titles(omega: Omega, k: str) -> None:
    assert f"k is {k}, allowed: 1..10,000" in omega("device", "recommend", "--k", k, code=2).complaint


def test_a_title_to_explain(omega: Omega) -> None:
    assert "content_id is 'nope', allowed: an id" in omega("device", "why", "nope", code=2).complaint


@pytest.mark.parametrize("kind", ["static", "onnx"])
def test_a_model_whose_file_was_cut_short(omega: Omega, home: Path, kind: str) -> None:
    name, file = {"static": ("minilm-static", "table.npy"), "onnx": ("minilm-int4", "model.onnx")}[kind]
    folder = Path(shutil.copytree(MODELS / name, "model"))
    size = (folder / file).stat().st_size
    with (folder / file).open("r+b") as opened:
        opened.truncate(size // 2)
    complaint = omega("device", "init", "--embedder", kind, "--model", folder, code=2).complaint
    assert f"{file} has {size // 2} B, its card says {size}: it was cut short" in complaint
    assert not (home / "tv").exists()


def test_a_model_with_one_byte_changed(omega: Omega, home: Path, static_model: Path) -> None:
    data = bytearray((static_model / "table.npy").read_bytes())
    data[-1] ^= 1
    (static_model / "table.npy").write_bytes(data)
    assert (
        "table.npy has sha256" in omega("device", "init", "--embedder", "static", "--model", static_model, code=2).err
    )
    assert not (home / "tv").exists()


def test_a_card_that_names_another_space_than_its_facts(omega: Omega, home: Path, static_model: Path) -> None:
    edit_card(static_model, space="minilm-static-00000000")
    complaint = omega("device", "init", "--embedder", "static", "--model", static_model, code=2).complaint
    assert "names the space 'minilm-static-00000000', its contents give minilm-static-" in complaint
    assert not (home / "tv").exists()


def test_a_card_whose_facts_were_edited(omega: Omega, static_model: Path) -> None:
    edit_card(static_model, quantization="none, float32")
    complaint = omega("model", "embed", "x", "--model", static_model, code=2).complaint
    assert "names the space" in complaint


def test_a_model_of_another_kind(omega: Omega, static_model: Path) -> None:
    complaint = omega("device", "init", "--model", static_model, code=2).complaint
    assert "is of kind static, allowed: onnx: use --embedder static" in complaint


def test_a_table_with_a_doubled_id(omega: Omega) -> None:
    row = "a,A,2000,movie,drama,90,6\n"
    Path("titles.csv").write_text(HEADER + row + row.replace("a,A", "b,B") + row, encoding="utf-8")
    complaint = omega("catalog", "build", "titles.csv", "--out", "out.jsonl", code=2).complaint
    assert "titles.csv row 4: id a stands at titles.csv row 2 already" in complaint
    assert not Path("out.jsonl").exists()


def test_a_table_with_a_year_out_of_range(omega: Omega) -> None:
    Path("titles.csv").write_text(HEADER + "a,A,1492,movie,drama,90,6\n", encoding="utf-8")
    complaint = omega("catalog", "build", "titles.csv", "--out", "out.jsonl", code=2).complaint
    assert "titles.csv row 2: year is '1492', allowed: 1870..2100" in complaint


def test_every_bad_row_of_a_table_is_named(omega: Omega) -> None:
    rows = ["A,A,2000,movie,drama,90,6", "b,B,2000,opera,drama,90,6", "c,C,2000,movie,drama,0,6", "d,D,2000"]
    Path("titles.csv").write_text(HEADER + "\n".join(rows), encoding="utf-8")
    err = omega("catalog", "build", "titles.csv", "--out", "out.jsonl", code=2).err.splitlines()
    assert len(err) == 4
    for line, part in zip(
        err, ("row 2: id is 'A'", "row 3: kind is 'opera'", "row 4: minutes is '0'", "row 5"), strict=True
    ):
        assert part in line


def test_a_table_re_ordered_against_the_epoch_before(omega: Omega) -> None:
    rows = [f"{name},{name.upper()},2000,movie,drama,90,6\n" for name in "abc"]
    Path("titles.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    omega("catalog", "build", "titles.csv", "--out", "one.jsonl")
    Path("titles.csv").write_text(HEADER + "".join(rows[::-1]), encoding="utf-8")
    done = omega("catalog", "build", "titles.csv", "--out", "two.jsonl", "--previous", "one.jsonl", code=2)
    assert "title 1 is c, allowed: a as in epoch 1" in done.complaint
    assert not Path("two.jsonl").exists()


def test_a_catalog_file_with_doubled_or_re_ordered_lines(omega: Omega) -> None:
    rows = [f"{name},{name.upper()},2000,movie,drama,90,6\n" for name in "abc"]
    Path("titles.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    omega("catalog", "build", "titles.csv", "--out", "one.jsonl")
    header, a, b, c = Path("one.jsonl").read_text(encoding="utf-8").splitlines()
    Path("one.jsonl").write_text(f"{header}\n{a}\n{c}\n{b}\n", encoding="utf-8")
    assert "re-ordered" in omega("catalog", "check", "--catalog", "one.jsonl", code=2).complaint
    Path("one.jsonl").write_text(f"{header}\n{a}\n{b}\n{b}\n", encoding="utf-8")
    assert (
        "one.jsonl line 4: id b stands at one.jsonl line 3"
        in omega("catalog", "check", "--catalog", "one.jsonl", code=2).complaint
    )
    Path("one.jsonl").write_text(a, encoding="utf-8")
    assert "no catalog file" in omega("device", "init", "--catalog", "one.jsonl", code=2).complaint


def test_an_output_that_is_a_folder(omega: Omega) -> None:
    Path("titles.csv").write_text(HEADER + "a,A,2000,movie,drama,90,6\n", encoding="utf-8")
    Path("out").mkdir()
    assert "out" in omega("catalog", "build", "titles.csv", "--out", "out", code=2).complaint
    assert "out" in omega("model", "embed", "x", "--model", "minilm-static", "--out", "out", code=2).complaint
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["home", "out", "titles.csv"]


def test_a_setting_that_nobody_knows(omega: Omega, home: Path) -> None:
    (home / "omega.toml").write_text("thread = 2\n", encoding="utf-8")
    complaint = omega("config", "show", code=2).complaint
    assert f"setting 'thread' in {home / 'omega.toml'}, allowed: home, store" in complaint
    assert "did you mean threads?" in complaint


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [("THREADS", "0", "1..64"), ("THREADS", "many", "1..64"), ("TIME_ZONE", "Mars/Olympus", "IANA")],
)
def test_a_setting_out_of_range(
    omega: Omega, monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"OMEGA_{name}", value)
    complaint = omega("device", "init", code=2).complaint
    assert f"{name.lower()} is '{value}' (environment OMEGA_{name}), allowed: " in complaint
    assert allowed in complaint


def test_settings_that_are_no_toml(omega: Omega, home: Path) -> None:
    (home / "omega.toml").write_text("threads 2\n", encoding="utf-8")
    assert "omega.toml is no TOML" in omega("device", "init", code=2).complaint


def test_a_plugin_that_nobody_installed(omega: Omega, home: Path) -> None:
    complaint = omega("device", "init", "--embedder", "elmo", code=4).complaint
    assert "embedder is 'elmo', allowed: onnx, static" in complaint
    assert not (home / "tv").exists()


def test_a_store_that_is_no_database_is_moved_aside_and_said_so(process: Process, home: Path) -> None:
    (home / "tv").mkdir()
    garbage = b"this is no database\n" * 400
    (home / "tv" / "store.db").write_bytes(garbage)
    told = process("device", "init").complaint
    assert "store.db was damaged: 0 events saved" in told
    (aside,) = (home / "tv").glob("store.db.damaged-*")
    assert aside.name in told
    assert aside.read_bytes() == garbage
    status = process("device", "status", "--json")
    assert status.json["rescued_at"]
    assert status.err == ""


def test_of_a_store_cut_short_what_can_be_read_is_kept(process: Process, home: Path) -> None:
    process("device", "observe", '{"content_id":"heat-1995","watch_pct":1}')
    file = home / "tv" / "store.db"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = process("device", "why", "heat-1995", "--json")
    assert "store.db was damaged: " in done.err.splitlines()[0]
    assert process("device", "status", "--json").json["rescued_at"]


def test_a_store_in_the_place_of_a_file(omega: Omega) -> None:
    Path("tv").write_text("a file", encoding="utf-8")
    assert "tv/store.db can't be opened" in omega("device", "init", "--store", "tv", code=3).complaint


@pytest.mark.parametrize(
    "arguments",
    [
        ("device", "observe"),
        ("device", "recommend", "--k", "x"),
        ("demo", "--weeks", "0"),
        ("demo", "--seed", "-1"),
        ("model", "quantize", "--bits", "5"),
        ("model", "quantize", "--min-cosine", "2"),
        ("catalog", "build", "titles.csv"),
        ("plugins", "--yaml"),
    ],
    ids=" ".join,
)
def test_arguments_that_the_parser_refuses(omega: Omega, arguments: tuple[str, ...]) -> None:
    done = omega(*arguments, code=2)
    assert "Usage: " in done.err
    assert "Error: " in done.err
    assert done.out == ""


def test_refusals_are_one_line_from_a_process_too(process: Process, home: Path) -> None:
    done = process("device", "observe", json.dumps({"content_id": "nope", "watch_pct": 0.5}), code=2)
    assert done.complaint.startswith("error: event 1: content_id is 'nope'")
    (home / "omega.toml").write_text("thread = 2\n", encoding="utf-8")
    assert process("device", "status", code=2).complaint.startswith("error: setting 'thread'")


def test_a_bug_is_one_line_and_names_the_way_to_report_it(process: Process) -> None:
    program = (
        "import sys; from omega_cli.app import app, main; sys.argv = ['omega', 'broken']\n"
        "@app.command()\ndef broken() -> None:\n    raise ZeroDivisionError('by zero')\n"
        "main()"
    )
    assert "internal error, ZeroDivisionError: by zero" in process(start=("-c", program), code=70).complaint
