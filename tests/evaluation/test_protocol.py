from __future__ import annotations

import os
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.errors import InputError
from omega.evaluation.baselines import popularities
from omega.evaluation.protocol import moments, scored_from, step_at, steps, window_s
from omega.evaluation.reading import read_log
from omega.evaluation.replay import replay
from tests.evaluation.conftest import START_S

if TYPE_CHECKING:
    from omega.evaluation.log import Log
    from omega.evaluation.protocol import Protocol


def test_days_begin_at_midnight_and_weeks_on_sundays(log: Log) -> None:
    days = [datetime.fromtimestamp(at, UTC) for at in moments(log, "daily")]
    assert all((day.hour, day.minute, day.second) == (0, 0, 0) for day in days)
    assert (days[-1] - days[0]).days == len(days) - 1
    weeks = [datetime.fromtimestamp(at, UTC) for at in moments(log, "weekly", date(2013, 3, 5))]
    assert {week.isoweekday() for week in weeks} == {7}
    assert weeks[0] == datetime(2013, 3, 10, tzinfo=UTC)
    assert moments(log, "daily", date(2013, 3, 5), date(2013, 3, 7)) == [START_S + day * 86_400 for day in (5, 6)]


@pytest.mark.parametrize("protocol", ["daily", "weekly", "onboard"])
def test_the_steps_ask_whom_a_loop_over_all_events_would_ask(log: Log, protocol: Protocol) -> None:
    events = list(zip(log.viewers.tolist(), log.watched.tolist(), log.times_s.tolist(), strict=True))
    found = list(steps(log, protocol, moments(log, protocol)))
    assert found
    for step in found:
        earlier: dict[int, set[int]] = defaultdict(set)
        wanted: dict[int, set[int]] = defaultdict(set)
        for viewer, title, at in events:
            if at < step.at_s:
                earlier[viewer].add(title)
        for viewer, title, at in events:
            if step.at_s <= at < step.at_s + window_s(protocol) and title not in earlier[viewer]:
                wanted[viewer].add(title)
        known = {viewer for viewer in wanted if (len(earlier[viewer]) >= 5) == (protocol != "onboard")}
        assert step.viewers.tolist() == sorted(known)
        pairs = {(int(step.viewers[row]), int(title)) for row, title in zip(step.rows, step.titles, strict=True)}
        assert pairs == {(viewer, title) for viewer in known for title in wanted[viewer]}
        assert len(step.past) == sum(at < step.at_s for _, _, at in events)


def test_the_past_answers_as_a_loop_would(log: Log) -> None:
    past = step_at(log, "daily", START_S + 30 * 86_400).past
    viewers = np.array([3, 0, 17])
    histories = {int(viewer): past.watched[past.viewers == viewer].tolist() for viewer in range(log.viewer_count)}
    rows, events, after = past.histories(viewers)
    for row, viewer in enumerate(viewers):
        assert past.watched[events[rows == row]].tolist() == histories[int(viewer)]
        assert after[rows == row].tolist() == list(range(len(histories[int(viewer)])))[::-1]
        assert np.flatnonzero(past.seen(viewers)[row]).tolist() == sorted(histories[int(viewer)])
    earlier = [int((past.viewers[:event] == past.viewers[event]).sum()) for event in range(len(past))]
    assert past.earlier.tolist() == earlier
    decayed = np.zeros(len(log.titles))
    for title, at in zip(past.watched, past.times_s, strict=True):
        decayed[title] += 2 ** (-(past.at_s - at) / 86_400 / 4)
    np.testing.assert_allclose(past.decayed(4.0), decayed)


def test_a_day_that_is_outside_the_log_is_refused(log: Log) -> None:
    assert scored_from(log, "daily", None) > date(2013, 3, 28)
    for day in (date(2013, 2, 28), date(2020, 1, 1), date(1999, 1, 1)):
        with pytest.raises(InputError, match="--score-from is"):
            scored_from(log, "daily", day)


@pytest.mark.skipif("OMEGA_EVAL_DATA" not in os.environ, reason="OMEGA_EVAL_DATA names no folder of real ratings")
@pytest.mark.parametrize(
    ("protocol", "viewers", "best", "ndcg", "recall"),
    [("daily", 9_896, "popularity-1d", 0.2122, 0.331), ("weekly", 6_169, "popularity-2d", 0.2128, 0.316)],
)
def test_the_shared_data_gives_the_figures_of_another_implementation(
    protocol: Protocol, viewers: int, best: str, ndcg: float, recall: float
) -> None:
    folder = Path(os.environ["OMEGA_EVAL_DATA"])
    log = read_log(folder / "ratings.dat", folder / "movies.dat", "movietweetings").log
    found = list(steps(log, protocol, moments(log, protocol, date(2013, 6, 9))))
    assert sum(len(step.viewers) for step in found) == viewers
    tallies = {tally.name: tally for tally in replay(popularities(), found, titles=len(log.titles), k=20)}
    assert tallies[best].mean("ndcg") == pytest.approx(ndcg, abs=1.5e-4)
    assert tallies[best].mean("recall") == pytest.approx(recall, abs=6e-4)
    assert max(tally.mean("ndcg") for tally in tallies.values()) == pytest.approx(tallies[best].mean("ndcg"), abs=2e-4)
