"""The product in a replay: nothing is lost on the way, and its lists are those that a TV would show."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the fit needs the extra federation")

from omega.core.catalog import Catalog
from omega.core.shard_records import ALL_SLOTS, TASTE_SPACE
from omega.core.testing.fakes import FakeEmbedder
from omega.device.titles import load_or_embed
from omega.evaluation.audit import audit
from omega.evaluation.contenders import Plan, looped
from omega.evaluation.embeddings import BrainEmbeddings
from omega.evaluation.evaluate import evaluate
from omega.evaluation.loop.growing import Growing
from omega.evaluation.loop.method import ALONE, LOOP, PLAIN
from omega.evaluation.loop.run import loop, town
from omega.evaluation.protocol import moments, step_at
from omega.evaluation.replay import check
from omega.shard.inquiry import summed
from tests.evaluation.conftest import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.evaluation.log import Log
    from omega.evaluation.method import Method


class Coding(FakeEmbedder):
    """Says that it is the model that ships, which taste codes are of."""

    space = TASTE_SPACE


def known(log: Log) -> BrainEmbeddings:
    arrays = load_or_embed(Catalog.build(log.titles), Coding(), None)
    return BrainEmbeddings(log.titles, arrays, TASTE_SPACE)


@pytest.fixture(scope="module")
def log() -> Log:
    return drawn(viewers=30, events=500, days=16)


def test_every_event_is_counted_once_at_some_shard(log: Log) -> None:
    at_s = moments(log, "daily")[12]
    past = log.before(at_s)
    with town(log, known(log), seed=3) as played:
        played.play(log.before(moments(log, "daily")[4]))
        played.play(past)
        growing = played.growing
        counted = np.zeros(len(growing.numbers), np.int64)
        for served in played.shards:
            sums = played.ask(summed(served.shard, growing.catalog, served.number, "", at_s)).columns
            whole = np.asarray(sums.slot) == ALL_SLOTS
            counted += np.bincount(np.asarray(sums.title)[whole], np.asarray(sums.samples)[whole], len(counted)).astype(
                int
            )
        assert counted.tolist() == past.counts[growing.numbers].tolist()
        assert played.sizes.tvs == len(np.unique(past.viewers))


def test_the_growing_catalog_is_what_an_operator_would_publish(log: Log) -> None:
    growing = Growing(log.titles, known(log).arrays(log.titles))
    assert growing.add(log.watched[:40])
    assert not growing.add(log.watched[:40])
    assert growing.add(log.watched[:200])
    assert [title.id for title in growing.catalog] == list(dict.fromkeys(log.titles[n].id for n in log.watched[:200]))
    assert [growing.ordinals[number] for number in growing.numbers] == list(range(len(growing.numbers)))
    fresh = load_or_embed(growing.catalog, Coding(), None)
    order = [growing.arrays.genre_names.index(name) for name in fresh.genre_names]
    for name in ("vectors", "mean", "centered", "kinds", "ages", "kind_shares", "popularity", "years"):
        np.testing.assert_allclose(getattr(growing.arrays, name), getattr(fresh, name), atol=1e-5, err_msg=name)
    np.testing.assert_allclose(growing.arrays.genres[:, order], fresh.genres)
    np.testing.assert_allclose(growing.arrays.genre_shares[order], fresh.genre_shares, atol=1e-6)


def test_a_list_is_what_the_tv_would_show() -> None:
    """Where everything was watched to the end, what has been watched is what a brain itself leaves out."""
    log = drawn(viewers=30, events=300, days=16)
    log.ratings[:] = 5
    step = step_at(log, "daily", moments(log, "daily")[12])
    with town(log, known(log), seed=3) as played:
        asked = loop(played, log, step.at_s, ablation=True)
        methods = {method.name: method for method in asked.methods()}
        for method in methods.values():
            method.learn(step.past)
        lists = {name: method.rank(step.at_s, step.viewers, 20) for name, method in methods.items()}
        brains = list(played.brains(step.viewers, step.at_s))
        shown = [[title.content_id for title in brain.recommend(k=20)] for brain in brains]
        assert [[log.titles[number].id for number in row if number >= 0] for row in lists[LOOP]] == shown
        for name, found in lists.items():
            check(name, found, step, slice(None))
        assert (lists[PLAIN][:, :14] == lists[LOOP][:, :14]).all()
        assert len({found.tobytes() for found in lists.values()}) == len(lists), "each variant lists something else"
        heard = [bool(brain.ask().others.households.any()) for brain in brains]
        assert all(heard)


def test_no_brain_knows_the_future(log: Log) -> None:
    at = moments(log, "daily")[8:12]
    found = known(log)
    plan = Plan(loop=True, seed=2, ablation=False)
    with ExitStack() as held:

        def make(given: Log) -> Sequence[Method]:
            return held.enter_context(looped(given, found, plan, at[:2], at[2], lambda *_: None, [])).methods

        told = audit(log, "daily", at, make, k=10, seed=1)
    assert told.leaks == ()


def test_an_evaluation_tells_of_the_product(log: Log) -> None:
    result = evaluate(log, known(log), Plan(k=10, audit=True))
    names = [figures.name for figures in result.methods]
    assert names[-9:-6] == [LOOP, PLAIN, ALONE]
    assert result.audit is not None
    assert result.audit.leaks == ()
    assert result.loop_weights is not None
    assert result.loop_fit is not None
    sizes = result.loop_sizes
    assert sizes is not None
    assert sizes.tvs == 30
    assert 0 < sizes.sent_bytes < sizes.received_bytes
