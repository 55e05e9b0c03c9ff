"""Settings: default < file < environment < flag, each with its origin; a wrong one is refused with its place."""

from __future__ import annotations

import zoneinfo
from pathlib import Path

import pytest

from omega.core.errors import SettingsError
from omega.core.settings import NAMES, resolve


def test_defaults_stand_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    found = resolve({}, {})
    assert found.settings.home == Path("/data/omega")
    assert found.settings.store == Path("/data/omega/tv")
    assert found.settings.cache == Path("/data/omega/cache")
    assert found.settings.models == Path("/data/omega/models")
    assert (found.settings.catalog, found.settings.embedder, found.settings.model) == ("example", "onnx", None)
    assert (found.settings.threads, found.settings.zone) == (1, None)
    assert found.origins == dict.fromkeys(NAMES, "default")


def test_a_later_layer_wins_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "omega.toml"
    file.write_text('embedder = "file"\ncatalog = "file.jsonl"\nthreads = 2\ntime_zone = "Europe/Berlin"\n')
    environment = {"OMEGA_HOME": str(tmp_path), "OMEGA_CATALOG": "env.jsonl", "OMEGA_THREADS": "3"}
    found = resolve({"threads": 4, "model": None}, environment)
    settings = found.settings
    assert (settings.embedder, settings.catalog, settings.threads) == ("file", "env.jsonl", 4)
    assert settings.zone == zoneinfo.ZoneInfo("Europe/Berlin")
    assert found.origins == {
        "home": "environment OMEGA_HOME",
        "store": "default",
        "catalog": "environment OMEGA_CATALOG",
        "embedder": str(file),
        "model": "default",
        "threads": "flag --threads",
        "memory": "default",
        "time_zone": str(file),
        "shard_url": "default",
        "ca": "default",
        "trust": "default",
    }


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMEGA_TIME_ZONE", "Asia/Tokyo")
    assert resolve().origins["time_zone"] == "environment OMEGA_TIME_ZONE"


def test_a_flag_moves_home_and_what_stands_in_it(tmp_path: Path) -> None:
    settings = resolve({"home": tmp_path, "model": "~/mine"}, {"OMEGA_HOME": "/elsewhere"}).settings
    assert (settings.home, settings.store) == (tmp_path, tmp_path / "tv")
    assert settings.model == Path.home() / "mine"


def test_a_file_that_moves_home_moves_the_store_too(tmp_path: Path) -> None:
    file = tmp_path / "omega.toml"
    file.write_text('home = "/moved"\n')
    settings = resolve({}, {"OMEGA_CONFIG": str(file)}).settings
    assert (settings.home, settings.store) == (Path("/moved"), Path("/moved/tv"))


def test_an_unknown_setting_is_refused_with_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "omega.toml"
    file.write_text("thread = 2\n")
    with pytest.raises(
        SettingsError, match=r"setting 'thread' in .*omega.toml, allowed: home, .*: did you mean threads"
    ):
        resolve({}, {"OMEGA_HOME": str(tmp_path)})
    file.write_text("[brightness]\nx = 1\n")
    with pytest.raises(SettingsError, match=r"setting 'brightness' in .*, allowed: [a-z_, ]*$"):
        resolve({}, {"OMEGA_HOME": str(tmp_path)})


@pytest.mark.parametrize("threads", [0, 65, 640, -1, "x", "", "1.5", 2.5, True, "0640", "9" * 5000, None])
def test_threads_are_1_to_64(threads: object) -> None:
    if threads is None:
        assert resolve({"threads": "64"}, {}).settings.threads == 64
        assert resolve({"threads": "1"}, {}).settings.threads == 1
        return
    with pytest.raises(SettingsError, match=r"threads is .* \(flag --threads\), allowed: 1..64"):
        resolve({"threads": threads}, {})


def test_a_bad_value_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"time_zone is 'Mars' \(environment OMEGA_TIME_ZONE\), allowed: an IANA"):
        resolve({}, {"OMEGA_TIME_ZONE": "Mars"})
    with pytest.raises(SettingsError, match=r"embedder is 5 \(flag --embedder\), allowed: text"):
        resolve({"embedder": 5}, {})
    with pytest.raises(SettingsError, match=r"time_zone is '\.\./\.\./etc/passwd'"):
        resolve({"time_zone": "../../etc/passwd"}, {})


@pytest.mark.parametrize("name", ["store", "model"])
def test_a_home_of_nobody_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is .*no-such-user-here"):
        resolve({name: "~no-such-user-here/x"}, {})


def test_a_settings_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml can't be read: No such file"):
        resolve({}, {"OMEGA_CONFIG": str(tmp_path / "nowhere.toml")})
    with pytest.raises(SettingsError, match="can't be read: Is a directory"):
        resolve({}, {"OMEGA_CONFIG": str(tmp_path)})


@pytest.mark.parametrize("raw", [b"threads = ", b"\xff", b"threads = 1\nthreads = 2"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "omega.toml").write_bytes(raw)
    with pytest.raises(SettingsError, match=r"omega\.toml is no TOML"):
        resolve({"home": tmp_path}, {})


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "omega.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(SettingsError, match="1,000,001 B, allowed: 1,000,000 B"):
        resolve({"home": tmp_path}, {})


def test_paths_in_a_file_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "omega.toml").write_text('store = "living-room"\ncatalog = "titles.jsonl"\n')
    settings = resolve({"home": tmp_path}, {}).settings
    assert (settings.store, settings.catalog) == (tmp_path / "living-room", str(tmp_path / "titles.jsonl"))
    (tmp_path / "omega.toml").write_text('catalog = "example"\n')
    assert resolve({"home": tmp_path}, {}).settings.catalog == "example"


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(SettingsError, match="store is '' "):
        resolve({"store": ""}, {})


def test_lite_takes_the_static_embedder_and_says_so(tmp_path: Path) -> None:
    found = resolve({"home": tmp_path}, {"OMEGA_MEMORY": "lite"})
    assert (found.settings.memory, found.settings.embedder) == ("lite", "static")
    assert found.origins["embedder"] == "default of memory lite (environment OMEGA_MEMORY)"
    standard = resolve({"home": tmp_path, "memory": "standard"}, {"OMEGA_MEMORY": "lite"})
    assert (standard.settings.embedder, standard.origins["embedder"]) == ("onnx", "default")


def test_an_embedder_that_was_named_stays_even_with_lite(tmp_path: Path) -> None:
    (tmp_path / "omega.toml").write_text('embedder = "onnx"\n')
    found = resolve({"home": tmp_path, "memory": "lite"}, {})
    assert (found.settings.embedder, found.origins["embedder"]) == ("onnx", str(tmp_path / "omega.toml"))


@pytest.mark.parametrize("memory", ["light", "", 64, None, ["lite"]])
def test_memory_is_standard_or_lite(tmp_path: Path, memory: object) -> None:
    if memory is None:
        assert resolve({"home": tmp_path, "memory": None}, {}).settings.memory == "standard"
        return
    with pytest.raises(SettingsError, match=r"memory is .* \(flag --memory\), allowed: standard or lite"):
        resolve({"memory": memory}, {})
