"""CPU time and memory of other processes, as the kernel counts them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time of these processes and of all that they started, those that ended and were waited for too.

    Whoever is gone by himself adds nothing; so a sum may fall when a process ends.
    """
    return sum(_one_cpu_s(pid) for first in pids for pid in (first, *_below(first)))


def peak_bytes(pids: Iterable[int]) -> int:
    """Return the most memory that these processes and those below them held, each at its own time."""
    return sum(_one_bytes(pid, "VmHWM:") for first in pids for pid in (first, *_below(first)))


def held_bytes(pids: Iterable[int]) -> int:
    """Return the memory that these processes and those below them hold now."""
    return sum(_one_bytes(pid, "VmRSS:") for first in pids for pid in (first, *_below(first)))


def _one_bytes(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((1_024 * int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def _one_cpu_s(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_S  # user, system, and both of the children that were waited for


def _below(pid: int) -> list[int]:
    """Return all that a process started and that still run."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(one) for task in tasks for one in (task / "children").read_text(encoding="ascii").split()]
    except OSError:
        return []
    return [found for child in children for found in (child, *_below(child))]
