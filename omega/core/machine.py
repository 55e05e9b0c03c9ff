"""The process and the machine that it runs on."""

from __future__ import annotations

import gc
import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_M_MMAP_THRESHOLD = -3
"""From malloc.h."""
_MMAP_THRESHOLD_BYTES = 131_072
_SWITCH_S = 0.0005


def single_blas_thread() -> None:
    """Keep numpy's BLAS on one thread, unless OPENBLAS_NUM_THREADS says otherwise.

    Its matrices are small here: a second thread gains .1 ms when it is free and loses 6 ms when the core is taken. In a
    shard it took more CPU time than all the rest of a sync: it waits for the next matrix in a busy loop.
    """
    if "OPENBLAS_NUM_THREADS" in os.environ:
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits  # noqa: PLC0415  (5 ms that most processes don't need)

        threadpool_limits(1, "blas")


def spare_collector() -> None:
    """Keep all that is loaded out of the garbage collector's rounds, and let it go round less often, for good.

    For servers, whose thousands of waiting requests hold no cycles: a tenth of their CPU time goes into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def switch_often() -> None:
    """Let threads take turns ten times as often, for good.

    For a server whose loop shares the interpreter with a thread that adds up a million samples: the loop waits for half
    a millisecond at each of its turns then, in place of five.
    """
    sys.setswitchinterval(_SWITCH_S)


@contextmanager
def collector_spared() -> Iterator[None]:
    """Do the same within the block."""
    before = gc.get_threshold()
    spare_collector()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def trim_memory() -> None:
    """Give what glibc keeps of freed small blocks back to the kernel too; takes some ms."""
    from ctypes import CDLL  # noqa: PLC0415  (numpy has it loaded already)

    trim = getattr(CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def return_freed_memory() -> None:
    """Let glibc give freed blocks of 128 KiB and more back to the kernel at once; another libc is left as it is.

    By itself it learns from the first large array that is freed to keep up to 32 MiB for later ones: 4 MiB of a TV's
    memory, held for nothing.
    """
    from ctypes import CDLL  # noqa: PLC0415  (numpy has it loaded already)

    mallopt = getattr(CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)


def rss_bytes() -> int:
    """Return the memory that this process holds now; its peak so far where there is no /proc."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_rss_bytes()


def peak_rss_bytes() -> int:
    """Return the most memory that this process ever held; rusage would also count what its parent held at the fork."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_fresh(command: Sequence[str], *, timeout_s: float = 120, environment: Mapping[str, str] | None = None) -> bytes:
    """Run a command to its end and return what it printed; `environment` is added to this process's own.

    Raises OmegaError with the last line of its errors when it failed.
    """
    import subprocess  # noqa: PLC0415  (1 MB that a TV doesn't need)

    variables = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False, env=variables)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OmegaError(f"{command[0]} did not end well: {error}") from error
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise OmegaError(f"{' '.join(command[:3])} ended with {done.returncode}: {last}")
    return done.stdout
