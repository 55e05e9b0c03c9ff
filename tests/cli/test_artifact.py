"""Artifacts through the command line: a key, three epochs, a list, a check, every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omega.core.artifacts.manifest import Kind

if TYPE_CHECKING:
    from tests.cli.conftest import Omega

HEADER = "id,title,year,kind,genres,minutes,age\n"


@pytest.fixture
def key(omega: Omega) -> str:
    omega("artifact", "keygen", "operator.key")
    return "operator.key"


@pytest.fixture
def catalogs(omega: Omega) -> list[str]:
    """Two epochs of a catalog."""
    rows = [f"id-{n},Title number {n},{1950 + n},movie,drama|crime,90,12\n" for n in range(50)]
    previous: list[str] = []
    for number, count in enumerate((40, 50)):
        Path("titles.csv").write_text(HEADER + "".join(rows[:count]), encoding="utf-8")
        omega("catalog", "build", "titles.csv", "--out", f"c{number}.jsonl", *previous)
        previous = ["--previous", f"c{number}.jsonl"]
    return ["c0.jsonl", "c1.jsonl"]


def publish(omega: Omega, key: str, file: str, kind: str = "catalog") -> dict[str, object]:
    found: dict[str, object] = omega("artifact", "publish", file, "shelf", "--kind", kind, "--key", key, "--json").json
    return found


def test_a_key_is_made_once(omega: Omega) -> None:
    made = omega("artifact", "keygen", "operator.key", "--json").json
    assert made["public"] == "operator.key.pub"
    assert Path("operator.key").stat().st_mode & 0o777 == 0o600
    assert "is there already" in omega("artifact", "keygen", "operator.key", code=2).complaint
    assert "keep it secret" in omega("artifact", "keygen", "second.key").out


def test_epochs_are_published_listed_and_verified(omega: Omega, key: str, catalogs: list[str]) -> None:
    made = [publish(omega, key, file) for file in catalogs]
    assert [m["version"] for m in made] == [1, 2]
    assert omega("artifact", "list", "shelf", "--json").json == made
    assert omega("artifact", "verify", "shelf", "--trust", f"{key}.pub", "--json").json == made
    assert (
        f"good: 2 artifacts, signed by {made[0]['key']}"
        in omega("artifact", "verify", "shelf", "--trust", f"{key}.pub").out
    )
    header, *rows = omega("artifact", "list", "shelf").out.splitlines()
    assert header.split()[:3] == ["kind", "name", "version"]
    assert [row.split()[:3] for row in rows] == [["catalog", m["name"], str(m["version"])] for m in made]


def test_publish_tells_the_patches(omega: Omega, key: str, catalogs: list[str]) -> None:
    publish(omega, key, catalogs[0])
    told = omega("artifact", "publish", catalogs[1], "shelf", "--kind", "catalog", "--key", key).out
    assert "; patches from earlier versions: " in told


def test_refusals_are_one_line(omega: Omega, key: str, catalogs: list[str]) -> None:
    publish(omega, key, catalogs[1])
    flags = ("shelf", "--kind", "catalog", "--key", key)
    assert "has epoch 1, allowed: 3" in omega("artifact", "publish", catalogs[0], *flags, code=2).complaint
    older = omega("artifact", "publish", catalogs[1], *flags, "--version", "1", code=2)
    assert "version is 1, allowed: 2 and more" in older.complaint
    wrong_kind = omega("artifact", "publish", catalogs[1], "shelf", "--kind", "film", "--key", key, code=2)
    assert f"allowed: {', '.join(Kind)}" in wrong_kind.complaint
    no_key = omega("artifact", "publish", catalogs[1], "shelf", "--kind", "catalog", "--key", "c0.jsonl", code=2)
    assert "no private key in PEM" in no_key.complaint
    assert "is no folder of artifacts" in omega("artifact", "list", "none", code=2).complaint


def test_verify_finds_what_another_key_signed_and_what_was_changed(omega: Omega, key: str, catalogs: list[str]) -> None:
    made = publish(omega, key, catalogs[0])
    omega("artifact", "keygen", "second.key")
    refused = omega("artifact", "verify", "shelf", "--trust", "second.key.pub", code=2)
    assert f"signed by key '{made['key']}'" in refused.complaint
    both = ("--trust", "second.key.pub", "--trust", f"{key}.pub")
    assert omega("artifact", "verify", "shelf", *both).out.startswith("good: 1 artifacts")
    Path("shelf", str(made["sha256"])).write_bytes(b"?")
    assert "is 1 B, its manifest says" in omega("artifact", "verify", "shelf", *both, code=2).complaint
