"""Memories, profiles, modes, privacy, forgetting, and from one TV to another, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Omega, Process, Terminal

HEAT = '{"content_id":"heat-1995","watch_pct":0.95,"at":"2026-02-06T20:00:00"}'
EVENTS = [
    HEAT,
    '{"content_id":"speed-1994","watch_pct":1,"at":"2026-02-13T20:00:00","profile":"Ada"}',
    '{"content_id":"wedding","title":"Our wedding","watch_pct":1,"at":"2026-02-20T20:00:00"}',
]


@pytest.fixture
def told(omega: Omega) -> Omega:
    """The command line of a TV with a profile, and three events on Friday evenings."""
    omega("device", "profiles", "Ada", "--age", "16")
    omega("device", "observe", "-", stdin="\n".join(EVENTS))
    return omega


def events(omega: Omega, *flags: str) -> int:
    count = omega("device", "status", *flags, "--json").json["events"]
    assert isinstance(count, int)
    return count


def test_memories_are_told_in_words(omega: Omega) -> None:
    assert omega("device", "memories").out.splitlines() == [
        "no habit yet: it takes three titles of a sort that went well at the same time",
        "from 0 episodes in 0 patterns",
    ]
    evenings = [
        json.dumps({"content_id": name, "watch_pct": 1}) for name in ("heat-1995", "speed-1994", "gladiator-2000")
    ]
    omega("device", "observe", "-", stdin="\n".join(evenings))
    found = omega("device", "memories", "--json").json
    assert any(habit.endswith(": movies, 3 of 3 finished") for habit in found["habits"])
    assert (found["episode_count"], found["pattern_count"]) == (3, 3)
    assert omega("device", "memories").out.splitlines() == [*found["habits"], "from 3 episodes in 3 patterns"]
    assert omega("device", "status", "--json").json["habits"] == found["habits"][:8]


def test_memories_of_one_profile(told: Omega) -> None:
    found = told("device", "memories", "--profile", "Ada", "--json").json
    assert [episode["content_id"] for episode in found["episodes"]] == ["speed-1994"]
    assert "profile is '', allowed: Ada" in told("device", "memories", "--profile", "", code=2).complaint
    assert "profile is 'Eve', allowed: Ada" in told("device", "memories", "--profile", "Eve", code=2).complaint


def test_idle_work_can_be_done_now_and_within_a_budget(told: Omega) -> None:
    assert told("device", "consolidate").out == "3 episodes consolidated, 0 remain\n"
    assert told("device", "consolidate", "--budget-ms", "5", "--json").json == {"episodes": 0, "remaining": 0}
    assert "Error: " in told("device", "consolidate", "--budget-ms", "0", code=2).err


def test_profiles_are_listed_made_and_changed(omega: Omega) -> None:
    assert omega("device", "profiles").out.startswith("no profiles: the household is one")
    assert omega("device", "profiles", "--json").json == []
    assert omega("device", "profiles", "Ada", "--age", "9").out == "Ada, up to age 9\n"
    assert omega("device", "profiles", "Ben").out == "Ada, up to age 9\nBen\n"
    found = omega("device", "profiles", "Ada", "--age", "12", "--json").json
    assert [(profile["name"], profile["age"]) for profile in found] == [("Ada", 12), ("Ben", None)]
    assert omega("device", "profiles", "Ada").out == "Ada, up to age 12\nBen\n"  # looked at, not opened
    assert "--age was given without a name" in omega("device", "profiles", "--age", "9", code=2).complaint
    assert "error: age is 200, allowed: a number 0..150" in omega("device", "profiles", "X", "--age", "200", code=2).err
    assert "profile is ''" in omega("device", "profiles", "", code=2).complaint


def test_a_profile_asks_for_what_is_for_its_age(told: Omega) -> None:
    asked = ("--context", '{"profile":"Ada","max_age":6}')
    assert len(told("device", "recommend", *asked, "--json").json) == 20
    found = told("device", "why", "heat-1995", *asked).out
    assert "not recommended: meant for viewers of 16 and older" in found


def test_a_mode_is_shown_set_and_kept(told: Omega) -> None:
    assert told("device", "mode").out == "learning: the TV learns from what is watched\n"
    assert told("device", "mode", "guest").out.startswith("guest: nothing is stored, and nothing that was learned is")
    assert told("device", "mode", "--json").json == {"mode": "guest"}
    seen = told("device", "observe", '{"content_id":"gladiator-2000","watch_pct":1}').out
    assert seen == "Gladiator: not stored, the TV is paused or has a guest\n"
    assert told("device", "mode", "paused", "--json").json == {"mode": "paused"}
    assert "mode is 'gast', allowed: learning, paused, guest" in told("device", "mode", "gast", code=2).complaint
    told("device", "mode", "learning")
    assert events(told) == 3


def test_privacy_is_told_in_sentences(told: Omega) -> None:
    found = told("device", "privacy", "--json").json
    assert found.keys() == {"held", "shared", "never_shared"}
    text = told("device", "privacy").out
    for heading, sentences in (("Held on this TV", "held"), ("Shared", "shared"), ("Never shared", "never_shared")):
        assert f"\n{heading}\n- {found[sentences][0]}\n" in text
    assert "3 events about 3 titles" in text
    assert "Profiles: Ada." in text
    assert "2 samples would leave with the next sync" in text
    assert "1 title that no catalog has" in text


@pytest.mark.parametrize(
    ("flags", "gone"),
    [
        (("--title", "heat-1995"), 1),
        (("--title", "wedding"), 1),
        (("--since", "2026-02-10"), 2),
        (("--until", "2026-02-10"), 1),
        (("--since", "2026-02-10", "--until", "2026-02-15"), 1),
        (("--profile", "Ada"), 1),
        (("--profile", "Ada", "--until", "2026-02-10"), 0),
        (("--title", "heat-1995", "--since", "2026-02-07"), 0),
        (("--all",), 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_named_is_forgotten(told: Omega, flags: tuple[str, ...], gone: int) -> None:
    done = told("device", "forget", *flags, "--yes", "--json").json
    assert done == {"events": gone, "patterns": gone, "titles": gone, "retractions": 0}
    assert events(told) == 3 - gone
    names = [profile["name"] for profile in told("device", "profiles", "--json").json]
    assert names == ([] if flags in {("--profile", "Ada"), ("--all",)} else ["Ada"])


def test_forgetting_is_told_in_a_line(told: Omega) -> None:
    done = told("device", "forget", "--title", "heat-1995", "--yes")
    assert done.out == "forgotten: 1 events, 1 patterns, 1 titles\n"
    held = b"".join(file.read_bytes() for file in Path("home/tv").glob("store.db*"))
    assert b"heat-1995" not in held
    assert b"speed-1994" in held


def test_nothing_is_forgotten_on_a_pipe_without_a_yes(told: Omega) -> None:
    for answer in ("", "y\n", "yes\n"):
        done = told("device", "forget", "--all", stdin=answer, code=2)
        assert done.complaint == "error: nothing was forgotten: say --yes"
    assert events(told) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--since", "2026-03-01", "--until", "2026-02-01"), "allowed: after since"),
        (("--all", "--title", "heat-1995"), "--all is given with a condition, allowed: --title, "),
        ((), "nothing to forget is named, allowed: --title, --since, --until, --profile, or --all alone"),
        (("--all", "--title", "heat-1995"), "or --all alone"),
        (("--all", "--profile", "Ada"), "or --all alone"),
        (("--since", "last week"), "since is 'last week', allowed: a time like 2026-03-01"),
        (("--until", "9999-99-99"), "until is '9999-99-99', allowed: a time like"),
        (("--profile", "Eve"), "profile is 'Eve', allowed: Ada"),
        (("--title", "heat"), "title is 'heat', allowed: one of the 3 titles that were watched"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_understood_forgets_nothing(told: Omega, flags: tuple[str, ...], message: str) -> None:
    assert message in told("device", "forget", *flags, "--yes", code=2).complaint
    assert events(told) == 3


def test_a_terminal_is_asked(told: Omega, terminal: Terminal) -> None:
    shown = terminal("device", "forget", "--all", code=130, interrupt_at="Forget it?")
    assert "This can't be undone." in shown
    assert events(told) == 3


@pytest.mark.parametrize("name", ["", "."])
def test_an_export_needs_a_name(told: Omega, name: str) -> None:
    assert "can't be written: it is no file's name: name a file" in told("device", "export", name, code=2).complaint


def test_what_one_tv_exports_another_takes_in(told: Omega) -> None:
    assert told("device", "export", "household.json").err == "household.json: 3 events, 1 profiles\n"
    printed = told("device", "export").json
    written = json.loads(Path("household.json").read_text(encoding="utf-8"))
    assert printed | {"exported_at": ""} == written | {"exported_at": ""}
    assert [event["content_id"] for event in written["events"]] == ["heat-1995", "speed-1994", "wedding"]
    bedroom = ("--store", "bedroom")
    taken = told("device", "import", "household.json", *bedroom)
    assert (taken.out, taken.err) == ("3 events are new, 0 were here, 0 were corrected\n", "")
    again = told("device", "import", "household.json", *bedroom, "--json").json
    assert again == {"events": 0, "repeated": 3, "corrected": 0, "unknown": 0, "profiles": 1}
    assert events(told, *bedroom) == 3
    assert "0 samples would leave" in told("device", "privacy", *bedroom).out
    listed = [told("device", "recommend", "--k", "9", *flags, "--json").json for flags in ((), bedroom)]
    assert [[title["content_id"] for title in found] for found in listed[:1]] == [
        [title["content_id"] for title in listed[1]]
    ]


def test_events_that_nobody_knows_the_title_of_are_counted(told: Omega) -> None:
    document = told("device", "export").json
    document["titles"] = []
    Path("household.json").write_text(json.dumps(document), encoding="utf-8")
    done = told("device", "import", "household.json", "--store", "bedroom")
    assert done.out.startswith("2 events are new")
    assert "1 events are about titles that neither the catalog nor the export names" in done.complaint


def test_an_export_is_whole_or_not_there(told: Omega) -> None:
    Path("old.json").write_text("what was here", encoding="utf-8")
    Path("folder").mkdir()
    assert "folder" in told("device", "export", "folder", code=2).complaint
    told("device", "export", "old.json")
    assert json.loads(Path("old.json").read_text(encoding="utf-8"))["format"] == 1
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["folder", "home", "old.json"], (
        "no part of a file is left behind"
    )


@pytest.mark.parametrize("content", ["", "{}", '{"format":2}', "x" * 100])
def test_what_is_no_export_is_refused_and_makes_no_tv(omega: Omega, content: str) -> None:
    Path("bad.json").write_text(content, encoding="utf-8")
    told = omega("device", "import", "bad.json", "--store", "bedroom", code=2).complaint
    assert "this is no export" in told
    assert not Path("bedroom").exists()
    assert "nowhere.json" in omega("device", "import", "nowhere.json", code=2).complaint


def test_an_export_goes_through_a_pipe(told: Omega, process: Process) -> None:
    printed = process("device", "export").out
    Path("piped.json").write_text(printed, encoding="utf-8")
    assert told("device", "import", "piped.json", "--json").json["repeated"] == 3
