"""What makes a claim held, broken or impossible to run; and that the public figures are claims."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.claims import bench as bench_module
from omega.claims.bench import PATTERNS, Bench
from omega.claims.claim import Claims, Measured, run
from omega.claims.every import claims as every
from omega.core.errors import InputError, ModelError
from omega.core.settings import resolve
from omega.core.types import SLOTS, ContentType, slot_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from omega.claims.claim import Result

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as made:
        yield made


def judged(
    bench: Bench, value: float, *, bound: Literal["at most", "at least"] = "at most", agrees: bool = True
) -> Result:
    """Run a claim with target 10 that measures `value`."""
    claims = Claims()

    @claims.add("ten", what="a figure", target=10, unit="ms", bound=bound, oracle="a second look")
    def check(bench: Bench) -> Measured:
        return Measured(value, {"seen": value}, agrees=agrees)

    (result,) = run(claims.chosen([], slow=False), bench)
    return result


@pytest.mark.parametrize(
    ("value", "bound", "held"),
    [
        (9.99, "at most", True),
        (10.0, "at most", True),
        (10.01, "at most", False),
        (9.99, "at least", False),
        (10.0, "at least", True),
        (10.01, "at least", True),
        (float("nan"), "at most", False),
        (float("nan"), "at least", False),
    ],
)
def test_the_bound_decides_and_belongs_to_what_is_allowed(
    bench: Bench, value: float, bound: Literal["at most", "at least"], held: object
) -> None:
    result = judged(bench, value, bound=bound)
    assert result.held is held
    assert (result.target, result.unit, result.bound, result.oracle) == (10, "ms", bound, "a second look")


def test_without_its_oracles_consent_no_value_is_held(bench: Bench) -> None:
    result = judged(bench, 1, agrees=False)
    assert result.held is False
    assert result.measured == 1
    assert result.details == {"seen": 1}


def test_a_claim_that_cannot_run_says_why_and_the_next_one_runs(bench: Bench) -> None:
    claims = Claims()

    @claims.add("first", what="w", target=1, unit="1", bound="at most", oracle="o")
    def first(bench: Bench) -> Measured:
        raise ModelError("the weights are not here: fetch them")

    @claims.add("second", what="w", target=1, unit="1", bound="at most", oracle="o")
    def second(bench: Bench) -> Measured:
        return Measured(0.5)

    impossible, held = run(claims.chosen([], slow=False), bench)
    assert (impossible.held, impossible.measured) == (None, None)
    assert impossible.details == {"reason": "the weights are not here: fetch them"}
    assert (held.name, held.held) == ("second", True)


def test_a_bug_in_a_check_is_not_hidden(bench: Bench) -> None:
    claims = Claims()

    @claims.add("buggy", what="w", target=1, unit="1", bound="at most", oracle="o")
    def buggy(bench: Bench) -> Measured:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run(claims.chosen([], slow=False), bench))


def test_chosen_keeps_the_order_asked_for_and_refuses_unknown_names() -> None:
    names = list(every.all)
    assert [claim.name for claim in every.chosen(names[::-1], slow=False)] == names[::-1]
    assert [claim.name for claim in every.chosen([], slow=True)] == names
    with pytest.raises(InputError, match=r"claim is 'world-peace', allowed: model-size, "):
        every.chosen(["model-size", "world-peace"], slow=False)


def test_every_claim_says_what_it_measures_and_against_what() -> None:
    for name, claim in every.all.items():
        assert claim.name == name
        assert re.fullmatch(r"[a-z][a-z0-9-]+", name)
        assert len(claim.what) > 10
        assert len(claim.oracle) > 10
        assert claim.target > 0 or claim.bound == "at most"
        assert claim.check.__doc__


def test_the_readmes_figures_are_the_claims() -> None:
    table = re.search(r"<!-- figures -->(.*)<!-- /figures -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert table, "README.md marks its table by <!-- figures --> and <!-- /figures -->"
    rows = re.findall(r"^\| *`?([\w-]+)`? *\|", table[1], re.MULTILINE)
    names = [name for name in rows if set(name) != {"-"}][1:]
    assert set(names) == set(every.all)
    assert len(names) == len(every.all)


def test_the_benchs_catalog_has_titles_enough_for_its_patterns(bench: Bench) -> None:
    assert len(bench.catalog) * SLOTS >= PATTERNS
    series = sum(title.kind is ContentType.SERIES for title in bench.catalog)
    assert series % (bench_module.SEASONS + 1) == 0


def test_the_benchs_events_fall_into_the_context_they_are_for(bench: Bench) -> None:
    random = np.random.default_rng(0)
    for turn in range(0, 5000, 7):
        event = bench_module._event(bench.catalog.titles[0], turn % SLOTS, turn, random)
        assert event.at is not None
        assert slot_at(event.at) == turn % SLOTS
        assert 0 <= (event.watch_pct or 0) <= 1


def test_a_closed_bench_leaves_nothing(tmp_path: Path) -> None:
    made = Bench(resolve({"home": tmp_path}, {}).settings, lambda done, total, what: None)
    (made.folder / "file").write_text("x", encoding="utf-8")
    made.close()
    assert not made.folder.exists()


def test_the_model_size_is_checked_for_real(bench: Bench) -> None:
    (result,) = run(every.chosen(["model-size"], slow=False), bench)
    assert result.held is True
    assert result.measured is not None
    assert 10 < result.measured <= 20
