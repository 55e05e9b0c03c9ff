"""The fit as `omega federation fit` does it: the same as the replay's, of the past alone."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.errors import InputError
from omega.core.ranking_weights import SHIPPED_PATH, TERMS, read_weights, shipped_weights
from omega.evaluation.contenders import Plan
from omega.evaluation.embeddings import Embeddings
from omega.evaluation.evaluate import evaluate
from tests.evaluation.conftest import vectors

pytest.importorskip("scipy", reason="the fit needs the extra federation")

from omega.evaluation.fitting import FitPlan, fit_log

if TYPE_CHECKING:
    from omega.evaluation.fitting import Found
    from omega.evaluation.log import Log

UNTIL = date(2013, 4, 16)


@pytest.fixture(scope="module")
def found(log: Log) -> Found:
    return fit_log(log, Embeddings(log.titles, vectors(60)), FitPlan(until=UNTIL, seed=4))


def test_it_finds_what_the_replay_goes_by(log: Log, found: Found) -> None:
    result = evaluate(log, Embeddings(log.titles, vectors(60)), Plan(score_from=UNTIL, k=10, seed=4))
    assert result.fit is not None
    assert result.weights == msgspec.to_builtins(found.weights)
    assert (found.lists, found.loss) == (result.fit.lists, result.fit.loss)
    worth = {name: loss - result.fit.loss for name, loss in result.fit.loss_without.items()}
    assert {term.name: term.worth for term in found.terms} == worth
    assert set(worth) == set(TERMS)


def test_it_tells_what_it_looked_at(log: Log, found: Found) -> None:
    days = [datetime.fromtimestamp(int(at), UTC).date() for at in log.times_s]
    used = [at for at, day in enumerate(days) if day < UNTIL]
    assert found.events == len(used)
    assert found.viewers == len({int(log.viewers[at]) for at in used})
    assert found.titles == len({int(log.watched[at]) for at in used})
    assert (found.first, found.last) == (days[0].isoformat(), days[used[-1]].isoformat())
    assert all(term.worth >= -1e-6 for term in found.terms)
    assert 0 < found.loss < found.blind <= np.log(60)


def test_nothing_that_came_later_is_looked_at(log: Log, found: Found) -> None:
    later = log.times_s >= datetime(UNTIL.year, UNTIL.month, UNTIL.day, tzinfo=UTC).timestamp()
    watched = np.where(later, (log.watched + 7) % 60, log.watched)
    other = dataclasses.replace(log, watched=watched, ratings=np.where(later, 0.0, log.ratings))
    again = fit_log(other, Embeddings(log.titles, vectors(60)), FitPlan(until=UNTIL, seed=4))
    assert msgspec.structs.replace(again, seconds=0) == msgspec.structs.replace(found, seconds=0)


def test_a_week_that_ends_later_is_no_part(log: Log) -> None:
    plans = [FitPlan("weekly", until) for until in (date(2013, 4, 14), date(2013, 4, 17))]
    one, other = (fit_log(log, Embeddings(log.titles, vectors(60)), plan) for plan in plans)
    assert one.weights == other.weights
    assert one.events < other.events


def test_a_day_before_the_log_is_refused(log: Log) -> None:
    with pytest.raises(InputError, match="--until is 2013-02-28, allowed: a day after 2013-02-28"):
        fit_log(log, Embeddings(log.titles, vectors(60)), FitPlan(until=date(2013, 2, 28)))


def test_what_ships_tells_its_fit() -> None:
    assert read_weights(SHIPPED_PATH) == shipped_weights()
    made = msgspec.json.decode(SHIPPED_PATH.read_bytes())["made"]
    assert made["by"].startswith("omega federation fit --ratings ratings.dat --movies movies.dat")
    assert "--until 2013-06-09" in made["by"]
    assert "2013-02-28 to 2013-06-08" in made["of"]
