"""Looks at what the household has: its store, in a copy, and the daemon that may have it open."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import omega
from omega.compose import STORE_FILE, extra_module, find_daemon, open_store
from omega.core.errors import StoreError
from omega.doctor.machine import LEAST_FREE_BYTES, size_bytes
from omega.doctor.patient import COPY, Looked, mib, needed, timed

if TYPE_CHECKING:
    from omega.doctor.patient import Patient

_TRIES = 5
_NO_COPY = "needs a store that is there and sound"
_DAY = timedelta(days=1)


def daemon(patient: Patient) -> Looked:
    """Ask the daemon that has the store open."""
    client = find_daemon(patient.settings)
    if client is None:
        return Looked("skip", "none serves this store: commands open it themselves")
    with client:
        patient.serving, times_ms = client.daemon.pid, list[float]()
        with timed(times_ms):
            status = client.status()
    found = f"process {patient.serving}, omega {client.daemon.version}, answers in {times_ms[0]:.1f} ms; "
    found += f"{status.events} events, embedder {status.embedder}, space {status.space}, {status.mode}"
    if status.fallback and status.fallback.which == "static":
        return Looked("warn", f"{found}; {status.fallback.why}", "see what model and embedding say here")
    if client.daemon.version != omega.__version__:
        return Looked("warn", found, f"start it again with this release ({omega.__version__})")
    return Looked("ok", found)


def store(patient: Patient) -> Looked:
    """Look at each row and index of a copy; of a damaged one, see what can be saved."""
    if not patient.file.exists():
        advice = "make it with omega device init, or name another by --store"
        return Looked("warn", f"{patient.settings.store} holds no TV's store yet", advice)
    recovery = extra_module("omega_storage.recovery", "device")
    copy = _copied(patient.file, needed(patient.folder, "needs a temporary folder") / COPY)
    wrong = recovery.examine(copy, thorough=True)
    if wrong is None:
        patient.copy = copy
        return Looked("ok", f"{patient.file}: sound, each row and index looked at")
    copy = _copied(patient.file, copy.parent)
    saved = extra_module("omega_storage.device_sqlite", "device").SqliteDeviceStore.rescue(
        copy, patient.moment, thorough=True
    )
    extra_module("omega_storage.connection", "device").suspect(patient.file)
    if saved:
        advice = "start the TV (omega device status): it rebuilds the store so; then import a backup if you have one"
        return Looked("fail", f"damaged: {wrong}; {saved.partition(';')[0]}", advice)
    advice = f"omega device export, move {patient.file} away, then omega device import"
    return Looked("fail", f"damaged: {wrong}", advice)


def content(patient: Patient) -> Looked:
    """Open the copy, and count."""
    copy, connection = needed(patient.copy, _NO_COPY), extra_module("omega_storage.connection", "device")
    patient.copy = None  # until it is known to open
    with closing(connection.connect(str(copy))) as raw:
        page, pages, free, schema = (
            connection.pragma(raw, name) for name in ("page_size", "page_count", "freelist_count", "user_version")
        )
    with closing(open_store(patient.at(copy.parent), patient.dimensions)) as store:
        patient.newest_s = max((row.at for row in store.watched()), default=None)
        counts = f"{store.event_count()} events, {store.pattern_count()} patterns, {len(store.titles())} titles, "
        counts += f"{len(store.profiles())} profiles"
        space = store.space()
    patient.copy = copy
    newest = len(extra_module("omega_storage.sql", "device").migrations("device"))
    coming = f", the next start makes it {newest}" if schema < newest else ""
    size, live = size_bytes(patient.file), page * (pages - free)
    text = f"{counts}; {mib(size)}, {mib(live)} of it live; schema {schema}{coming}; space {space or 'none yet'}"
    if space and patient.space and space != patient.space:
        advice = f"choose the embedder of {space}; else the next start embeds all titles anew in {patient.space}"
        return Looked("warn", text, advice)
    if size > 2 * live + LEAST_FREE_BYTES:
        return Looked("warn", text, "give space back: omega device consolidate")
    return Looked("ok", text)


def event_times(patient: Patient) -> Looked:
    """See whether events come from the future."""
    needed(patient.copy, _NO_COPY)
    if patient.newest_s is None:
        return Looked("skip", "no events yet")
    newest = patient.moment.fromtimestamp(patient.newest_s, patient.moment.tzinfo)
    text = f"the newest event is of {newest:%a %Y-%m-%d %H:%M}"
    if newest <= patient.moment + _DAY:
        return Looked("ok", text)
    advice = "set the clock if it is late; else forget those events: omega device forget --since"
    return Looked("warn", f"{text}, in the future by this clock", advice)


def damaged(patient: Patient) -> Looked:
    """List what rebuilding left behind."""
    found = extra_module("omega_storage.recovery", "device").damaged_files(patient.file)
    if not found:
        return Looked("ok", "none")
    advice = "remove them when nothing in them is missed; forgetting anything removes them, too"
    return Looked("warn", ", ".join(f"{file.name} ({mib(size_bytes(file))})" for file in found), advice)


def _copied(file: Path, folder: Path) -> Path:
    """Copy a store and its log as they are at one moment. Raises StoreError while another process keeps on writing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for _ in range(_TRIES):
        before = _state(file)
        for part in before:
            shutil.copyfile(part, folder / f"{STORE_FILE}{part.name.removeprefix(file.name)}")
        if _state(file) == before:
            return folder / STORE_FILE
    raise StoreError(f"{file} is written to all the time by another process: stop that one, or try again")


def _state(file: Path) -> dict[Path, tuple[int, int]]:
    parts = (Path(f"{file}{suffix}") for suffix in ("", "-wal"))
    return {part: (part.stat().st_size, part.stat().st_mtime_ns) for part in parts if part.exists()}
