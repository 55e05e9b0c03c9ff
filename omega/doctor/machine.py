"""Looks at the machine: versions, settings, clock, disk, folders, memory."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING

import msgspec

import omega
from omega.compose import extra_module, registry
from omega.core.machine import run_fresh
from omega.doctor.patient import INSTALL, Looked, mib, needed

if TYPE_CHECKING:
    from omega.doctor.patient import Outcome, Patient

LIMIT_MIB = {"standard": 200, "lite": 64}
"""What the setting `memory` promises."""
LEAST_FREE_BYTES = 4 * 2**20
"""The log grows to so much before it is written into the store; with less, the next event may be refused."""
_SPARE_BYTES = 16 * 2**20
_REQUIRED, _OPTIONAL = ("numpy", "apsw", "sqlite-vec"), ("onnxruntime",)


def versions(patient: Patient) -> Looked:
    """Find the libraries, and SQLite as it was built."""
    del patient
    found = {name: _version(name) for name in (*_REQUIRED, *_OPTIONAL)}
    text = f"omega {omega.__version__}, Python {platform.python_version()}, "
    if found["apsw"]:
        text += f"SQLite {extra_module('omega_storage.engine', 'device').apsw.sqlite_lib_version()}, "
    text += ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    text += f"; {platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
    if not all(found[name] for name in _REQUIRED):
        return Looked("fail", text, INSTALL)
    return Looked("ok", text) if found["onnxruntime"] else Looked("warn", text, f"for the model: {INSTALL}")


def set_values(patient: Patient) -> Looked:
    """Say what is set, and where."""
    values = msgspec.structs.asdict(patient.settings)
    given = [f"{n} = {values[n]} ({o})" for n, o in patient.resolved.origins.items() if o != "default"]
    return Looked("ok", "; ".join(given) or "all are defaults")


def plugins(patient: Patient) -> Looked:
    """Load every plugin."""
    del patient
    found = registry()
    listed = found.plugins()
    if not found.broken:
        return Looked("ok", f"{len(listed)} plugins: {', '.join(plugin.name for plugin in listed)}")
    broken = "; ".join(f"{plugin.origin}: {plugin.reason}" for plugin in found.broken)
    return Looked("warn", f"left out: {broken}", "repair or uninstall it; all else works without")


def clock(patient: Patient) -> Looked:
    """See whether the clock was set since it last lost power."""
    released = extra_module("omega.device.observe", "device").RELEASED
    text = f"{patient.moment:%a %Y-%m-%d %H:%M} {patient.moment.tzname()}"
    if patient.moment >= released:
        return Looked("ok", text)
    advice = "set it, or connect the network; until then events get the last time that is known"
    return Looked("warn", f"{text}: it isn't set, {released:%Y-%m-%d} is past", advice)


def space_on_disk(patient: Patient) -> Looked:
    """Compare free space with what the store needs."""
    free, size = shutil.disk_usage(_existing(patient.settings.store)).free, size_bytes(patient.file)
    need = _SPARE_BYTES + 2 * size
    text = f"{mib(free)} free at {patient.settings.store}, {mib(need)} needed to work and to compact"
    advice = f"free {mib(max(need - free, 0))}, or move the store to another disk (--store)"
    if free < need:
        return Looked("fail" if free < LEAST_FREE_BYTES else "warn", text, advice)
    return Looked("ok", text)


def home(patient: Patient) -> Looked:
    """Write in the home."""
    return _writable(patient.settings.home, "warn", "make it writable, or name another by OMEGA_HOME")


def cache(patient: Patient) -> Looked:
    """Write in the cache."""
    return _writable(patient.settings.cache, "warn", "make it writable: else every start embeds the catalog anew")


def store_folder(patient: Patient) -> Looked:
    """Write in the store's folder, and open the store for writing, without writing to it."""
    advice = "make the folder and its files writable, or name another by --store: nothing is learned until then"
    if patient.file.is_file():
        try:
            os.close(os.open(patient.file, os.O_RDWR))
        except OSError as error:
            return Looked("fail", f"{patient.file}: {error.strerror}", advice)
    return _writable(patient.settings.store, "fail", advice)


def temporary(patient: Patient) -> Looked:
    """Make a folder for the copy and the trial."""
    patient.folder = Path(patient.opened.enter_context(TemporaryDirectory(prefix="omega-doctor-")))
    return Looked("ok", str(patient.folder.parent))


def memory(patient: Patient) -> Looked:
    """Compare what a process of the TV's holds with what the setting `memory` promises."""
    limit = LIMIT_MIB[patient.settings.memory]
    if patient.serving is not None:
        who, used = f"the daemon, process {patient.serving}", _rss_bytes(patient.serving) / 2**20
    else:
        trial = needed(patient.trial, "needs a start")
        store = patient.copy.parent if patient.copy else trial.store
        options = msgspec.json.encode(msgspec.structs.replace(trial, store=store), enc_hook=str).decode()
        used = float(run_fresh([sys.executable, "-m", "omega.doctor.fresh", options]))
        who = "a process with " + ("a copy of the store" if patient.copy else "the trial's store")
    text = f"{who}: {used:.0f} MiB, allowed {limit} MiB (memory = {patient.settings.memory})"
    if used <= limit:
        return Looked("ok", text)
    smaller = "choose embedder = static" if patient.settings.memory == "lite" else "set memory = lite"
    return Looked("fail", text, f"{smaller}, or use a smaller catalog")


def size_bytes(file: Path) -> int:
    """Return what a database takes, its log included; 0 where nothing can be seen."""
    size = 0
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            size += Path(f"{file}{suffix}").stat().st_size
    return size


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def _writable(folder: Path, otherwise: Outcome, advice: str) -> Looked:
    """Write a file without a name, which leaves nothing behind, where the folder is or would be made."""
    place = _existing(folder)
    try:
        with TemporaryFile(dir=place, buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        return Looked(otherwise, f"{folder} can't be written: {place}: {error.strerror or error}", advice)
    return Looked("ok", f"{folder}" if place == folder.absolute() else f"{folder}, to be made in {place}")


def _rss_bytes(pid: int) -> int:
    """Return the memory that another process holds now. Raises OSError where there is no /proc."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
