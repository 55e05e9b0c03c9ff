"""Runs the looks one after another; what one raises never stops the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from omega.core.clock import local_now
from omega.core.errors import OmegaError, on_one_line
from omega.doctor import held, machine, trial
from omega.doctor.patient import INSTALL, REPORT, Looked, Outcome, Patient, SkippedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from omega.core.settings import Resolved
    from omega.doctor.patient import Progress

Look: TypeAlias = Callable[[Patient], Looked]

LOOKS: tuple[tuple[str, Look, str], ...] = (
    ("versions", machine.versions, INSTALL),
    ("settings", machine.set_values, "see omega config show"),
    ("plugins", machine.plugins, "see omega plugins"),
    ("clock", machine.clock, "set the clock and the time zone"),
    ("disk", machine.space_on_disk, "name a folder on a disk that works, by --store"),
    ("home", machine.home, "name another by OMEGA_HOME"),
    ("cache", machine.cache, "name another home by OMEGA_HOME"),
    ("store's folder", machine.store_folder, "name another by --store"),
    ("temporary folder", machine.temporary, "free some space there, or name another by TMPDIR"),
    ("catalog", trial.catalog_file, "name a catalog file by --catalog, or example, the one that ships"),
    ("model", trial.model, "choose another by --embedder and --model; see omega plugins"),
    ("embedding", trial.embedding, "get or export the model again, or choose embedder = static"),
    ("daemon", held.daemon, "see its log, and start it again"),
    ("store", held.store, "make it readable, restore a backup, or name another by --store"),
    ("content", held.content, "restore a backup, or move the store away to start afresh"),
    ("event times", held.event_times, "set the clock"),
    ("damaged copies", held.damaged, "make the store's folder readable"),
    ("start", trial.start, "repair what failed above, and free some space in the temporary folder"),
    ("observe", trial.observe, "free some space in the temporary folder"),
    ("recommend", trial.recommend, "repair the model, see above"),
    ("search", trial.search, REPORT),
    ("restart", trial.restart, REPORT),
    ("memory", machine.memory, "stop other programs to free some"),
)
"""Name, look, and what to do when it raises; a look may need what an earlier one left."""


class Check(msgspec.Struct, frozen=True):
    """What one look found."""

    name: str
    outcome: Outcome
    found: str
    """One line."""
    advice: str | None
    """What to do; every `fail` and `warn` has it."""
    ms: float


def examine(
    resolved: Resolved,
    *,
    now: Callable[[], datetime] | None = None,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[Check]:
    """Give the checks one by one, always the same ones in the same order; takes some seconds, and raises nothing.

    `now` replaces the clock and gives aware local time; `progress` gets checks done and in all, and what comes next.
    """
    moment = now() if now else local_now(resolved.settings.zone)
    with closing(Patient(resolved, moment, progress)) as patient:
        for number, (name, look, advice) in enumerate(LOOKS):
            progress(number, len(LOOKS), name)
            started = time.perf_counter()
            outcome, found, todo = _looked(look, patient, advice)
            ms = round(1000 * (time.perf_counter() - started), 2)
            yield Check(name, outcome, on_one_line(patient.named(found)), todo, ms)


def _looked(look: Look, patient: Patient, advice: str) -> Looked:
    try:
        return look(patient)
    except SkippedError as reason:
        return Looked("skip", str(reason))
    except OmegaError as error:
        return Looked("fail", str(error), advice)
    except OSError as error:
        return Looked("fail", f"{error.filename or 'the system'}: {error.strerror or error}", advice)
    except Exception as error:  # noqa: BLE001  (a bug, or a library's own error: one more thing that was found)
        return Looked("fail", f"{type(error).__name__}: {error}", f"{advice}; report this if that doesn't help")
