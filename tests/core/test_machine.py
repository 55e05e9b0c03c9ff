"""What is asked of the machine."""

from __future__ import annotations

import os
import sys

import pytest

from omega.core.errors import OmegaError
from omega.core.machine import peak_rss_bytes, rss_bytes, run_fresh, single_blas_thread


def test_a_process_gives_what_it_printed() -> None:
    assert run_fresh([sys.executable, "-c", "print('hi')"]) == b"hi\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([sys.executable, "-c", "raise SystemExit('no luck')"], "ended with 1: no luck"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "ended with 3: no output"),
        (["/nowhere/to/be/found"], "did not end well"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "did not end well: .*timed out"),
    ],
)
def test_a_process_that_fails_is_named_with_its_last_line(command: list[str], message: str) -> None:
    with pytest.raises(OmegaError, match=message):
        run_fresh(command, timeout_s=0.5 if "sleep" in command[-1] else 60)


def test_memory_grows_with_what_is_held() -> None:
    before = rss_bytes()
    held = bytearray(b"x") * 64_000_000
    assert 50_000_000 < rss_bytes() - before < 200_000_000
    del held
    assert peak_rss_bytes() > before + 50_000_000, "the peak stays"
    assert peak_rss_bytes() >= rss_bytes()


def test_a_process_gets_what_is_added_to_the_environment() -> None:
    program = "import os; print(os.environ['OMEGA_HOME'], 'PATH' in os.environ)"
    assert run_fresh([sys.executable, "-c", program], environment={"OMEGA_HOME": "here"}) == b"here True\n"


def test_blas_stays_on_one_thread_unless_something_else_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    single_blas_thread()
    assert run_fresh([sys.executable, "-c", "import os; print(os.environ['OPENBLAS_NUM_THREADS'])"]) == b"3\n"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    single_blas_thread()
    assert run_fresh([sys.executable, "-c", "import os; print(os.environ['OPENBLAS_NUM_THREADS'])"]) == b"1\n"


NUMPY_FIRST = """
import numpy
from threadpoolctl import threadpool_info
from omega.core.machine import single_blas_thread
single_blas_thread()
numpy.ones((64, 64)) @ numpy.ones((64, 64))
print({found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"})
"""


def test_blas_keeps_to_one_thread_even_where_numpy_was_there_first() -> None:
    assert run_fresh([sys.executable, "-c", NUMPY_FIRST]) == b"{1}\n"


def test_who_chose_a_number_of_threads_keeps_it() -> None:
    found = run_fresh([sys.executable, "-c", NUMPY_FIRST], environment={"OPENBLAS_NUM_THREADS": "2"})
    assert found in (b"{2}\n", b"{1}\n") if (os.cpu_count() or 1) < 2 else found == b"{2}\n"


FREED = """
import sys
import numpy
from omega.core.machine import return_freed_memory, rss_bytes
if sys.argv[1] == "lite":
    return_freed_memory()
numpy.ones(4_000_000, numpy.int8)  # glibc learns from freeing this that 4 MB are best kept
kept = []
before = rss_bytes()
for _ in range(4):
    large = numpy.ones(3_500_000, numpy.int8)
    kept.append(bytes(900))  # lies above it, so that the top of the heap can't shrink
    kept.append(numpy.ones(9_000, numpy.int8))
    del large
print(rss_bytes() - before)
"""


def test_freed_memory_goes_back_to_the_kernel() -> None:
    usual, lite = (int(run_fresh([sys.executable, "-c", FREED, how])) for how in ("usual", "lite"))
    assert lite < 1_000_000 < usual
