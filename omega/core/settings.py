"""Settings and where each came from: defaults < TOML file < environment < flags."""

from __future__ import annotations

import difflib
import os
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import msgspec
from platformdirs import user_data_path

from omega.core.errors import SettingsError, shown
from omega.core.files import read_bounded

if TYPE_CHECKING:
    from datetime import tzinfo

FILE_NAME = "omega.toml"
FILE_VARIABLE = "OMEGA_CONFIG"
EXAMPLE_CATALOG = "example"
_MAX_FILE_BYTES = 1_000_000

Memory: TypeAlias = Literal["standard", "lite"]
"""What a TV may take: 200 MiB, or 64 MiB, in which no model runs."""
_LITE_EMBEDDER = "static"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. The environment's name of `catalog` is OMEGA_CATALOG."""

    home: Path
    """Folder of stores, caches and the settings file."""
    store: Path
    """This TV's folder."""
    catalog: str = EXAMPLE_CATALOG
    """A catalog file, or `example`, the one that comes with Omega."""
    embedder: str = "onnx"
    """Name of the embedder plugin; `static` by default where memory is `lite`."""
    model: Path | None = None
    """A model folder; the embedder's own by default."""
    threads: int = 1
    """Threads of one embedding, 1..64; one is best beside a video decoder."""
    memory: Memory = "standard"
    """`lite` keeps a TV within 64 MiB, unless it is given another embedder than `static`."""
    time_zone: str = ""
    """IANA name like Europe/Berlin; the machine's by default."""
    shard_url: str = ""
    """Where the TV syncs, like https://shard.example:8443; empty for a TV that keeps to itself.

    quic://shard.example:4433,https://shard.example:8443 is QUIC, and HTTPS where UDP is blocked."""
    ca: Path | None = None
    """A PEM file of the only authorities that are trusted for that; the system's by default."""
    trust: Path | None = None
    """A file of the operator's public keys, 64 hex digits a line; without one the TV fetches no artifacts."""

    @property
    def zone(self) -> tzinfo | None:
        """The household's time zone; None is the machine's."""
        return zoneinfo.ZoneInfo(self.time_zone) if self.time_zone else None

    @property
    def cache(self) -> Path:
        """Folder of what can be made again: source weights, catalog vectors."""
        return self.home / "cache"

    @property
    def models(self) -> Path:
        """Folder of the models that were exported and quantized here."""
        return self.home / "models"


NAMES = tuple(field.name for field in msgspec.structs.fields(Settings))


class Resolved(msgspec.Struct, frozen=True):
    """Settings with the place that each value came from."""

    settings: Settings
    origins: Mapping[str, str]
    """By name: `default`, a file's path, `environment OMEGA_...` or `flag --...`."""


def resolve(flags: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None) -> Resolved:
    """Return the settings in force; `flags` with value None are not set. Raises SettingsError that names the place."""
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    home = Path(str(given.get("home") or environment.get("OMEGA_HOME") or user_data_path("omega", appauthor=False)))
    file = Path(environment.get(FILE_VARIABLE) or home / FILE_NAME)
    contents = _beside(file, _read_file(file, required=bool(environment.get(FILE_VARIABLE))))
    if not (given.get("home") or environment.get("OMEGA_HOME")):
        home = Path(str(contents.get("home", home)))
    layers: list[tuple[str, Mapping[str, object]]] = [
        ("default", {"home": home, "store": home / "tv"}),
        (str(file), contents),
    ]
    layers += [(f"environment {v}", {n: environment[v]}) for n in NAMES if environment.get(v := f"OMEGA_{n.upper()}")]
    layers += [(f"flag --{name.replace('_', '-')}", {name: value}) for name, value in given.items()]
    values: dict[str, object] = {}
    origins = dict.fromkeys(NAMES, "default")
    for origin, layer in layers:
        for name, value in layer.items():
            values[name] = _checked(name, value, origin)
            origins[name] = origin
    if values.get("memory") == "lite" and "embedder" not in values:
        values["embedder"] = _LITE_EMBEDDER
        origins["embedder"] = f"default of memory lite ({origins['memory']})"
    return Resolved(msgspec.convert(values, Settings), origins)


def _read_file(file: Path, *, required: bool) -> dict[str, Any]:
    if not required and not file.exists():
        return {}
    try:
        return tomllib.loads(read_bounded(file, _MAX_FILE_BYTES, SettingsError).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is no TOML: {error}") from error


def _checked(name: str, value: object, origin: str) -> object:
    """Return the value in its type; raises SettingsError with name, value, range and origin."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f": did you mean {near[0]}?" if near else ""
        raise SettingsError(f"setting {shown(name)} in {origin}, allowed: {', '.join(NAMES)}{hint}")
    if name == "threads":
        text = str(value)
        if not (text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= 64):
            raise SettingsError(f"threads is {shown(value)} ({origin}), allowed: 1..64")
        return int(text)
    if name == "memory" and value not in get_args(Memory):
        raise SettingsError(f"memory is {shown(value)} ({origin}), allowed: {' or '.join(get_args(Memory))}")
    if not isinstance(value, (str, Path)) or (name not in ("time_zone", "shard_url") and not str(value)):
        raise SettingsError(f"{name} is {shown(value)} ({origin}), allowed: text")
    if name == "time_zone" and not _is_zone(str(value)):
        raise SettingsError(f"time_zone is {shown(value)} ({origin}), allowed: an IANA name like Europe/Berlin")
    if name not in ("home", "store", "model", "ca", "trust"):
        return str(value)
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        found = f"{name} is {shown(str(value))} ({origin})"
        raise SettingsError(f"{found}, allowed: a path: there is no such user") from error


def _is_zone(name: str) -> bool:
    try:
        return not name or bool(zoneinfo.ZoneInfo(name).key)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _beside(file: Path, contents: Mapping[str, object]) -> dict[str, object]:
    """Return a file's settings with relative paths taken from its own folder, not from where the command runs."""
    names = ("home", "store", "model", "catalog", "ca", "trust")
    paths = {name: contents[name] for name in names if name in contents}
    relative = {n: v for n, v in paths.items() if isinstance(v, str) and not v.startswith("~") and v != EXAMPLE_CATALOG}
    return {**contents, **{name: str(file.parent / value) for name, value in relative.items()}}
