"""One round: collect, merge, publish. What it came to is a report; what goes wrong with a shard is told there.

First a round is written down whole, then published; whoever finds one written down and unpublished publishes it first.
So a kill at any moment costs a round at most, and no version is ever given to two boards.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from omega.core.artifacts.manifest import Kind
from omega.core.audience import Basis, Board, decode_board
from omega.core.errors import ArtifactError, InputError
from omega.core.factors import decode_factors
from omega.core.privacy import Account, withdrawn
from omega.core.shard_records import ALL_SLOTS, DAY_S, LEAST_HOUSEHOLDS, LEAST_SUCCESS, RANKED_BY
from omega.core.types import PRIOR_SAMPLES, PRIOR_SUCCESS
from omega.federation import experiments
from omega.federation.board import Codes, new_basis, section
from omega.federation.collecting import Collected, Kin, ShardReport, collect
from omega.federation.factors import FACTORS_S, Heard, longer, new_factors
from omega.federation.history import History, Row, packed
from omega.federation.lease import lease
from omega.federation.merging import KEYS, Merged, merge, merged_moments, told
from omega.federation.neighbors import Audiences, are_due, audiences, neighbors
from omega.federation.publishing import newest, publish, tidy
from omega.federation.releasing import Released, highest, privacy, reason, release, shown_of
from omega.federation.showing import Showing, showing
from omega.federation.trends import HOURLY, PAST_S, Increment, added, increment, rising

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from omega.core.artifacts.keys import SigningKey
    from omega.core.factors import Factors
    from omega.core.ports import Engine, Integers, Releasing, Strategy
    from omega.core.shard_sums import ShardSums
    from omega.federation.collecting import Source
    from omega.federation.merging import Told
    from omega.federation.trends import Rule

BASIS_S: Final = 24 * 3600
"""A basis is used so long: TVs fetch each new one, and codes of two bases don't compare."""
REFRESH_S: Final = 3 * 3600
"""The same sums are published again after this time: shards tell a board for six hours."""
KEPT_FOLDER: Final = "sums"
_BOARD, _BASIS, _FACTORS = Kind.BOARD.value, Kind.AUDIENCE.value, Kind.FACTORS.value
_PRIVACY = Kind.PRIVACY.value
_NOISED: Final = "private "
_NEIGHBORS, _PUBLISHED = Kind.NEIGHBORS.value, "published/neighbors"


@dataclass(frozen=True, kw_only=True)
class Federation:
    """What rounds are made of."""

    home: Path
    """The folder of what it remembers; its owner's alone, sums of one household are in it."""
    sources: Sequence[Source]
    kin: Kin
    folder: Path
    """The shards' folder of published files."""
    key: SigningKey
    strategy: Strategy
    engine: Engine
    deadline_s: float = 30.0
    min_share: float = 0.5
    """Of the sources: if fewer answer, nothing is published."""
    rule: Rule = HOURLY


class RoundReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a round came to."""

    number: int
    outcome: str
    """`published`; `unchanged` when all said the same as the last time; `too-few` shards answered."""
    version: int = 0
    """Of the board; 0: none was published."""
    basis: int = 0
    """The version of the basis that its codes are of; 0: there are none."""
    neighbors: int = 0
    """The version of titles' neighbors that it published; 0: those before hold, or there are none."""
    resumed: int = 0
    """The version of an interrupted round's board that this one published first."""
    strategy: str = ""
    made_at: int = 0
    seconds: float = 0.0
    shards: tuple[ShardReport, ...] = ()
    answered: int = 0
    rows: int = 0
    titles: int = 0
    """That anybody has watched."""
    shown: int = 0
    """Of them, those that three households support."""
    rising: int = 0
    quality: float = 0.0
    """The share of shown titles that go well: a posterior success rate of LEAST_SUCCESS and more."""
    cosine: float | None = None
    """Of the titles' shares of the trend with those of the round before; None for the first."""
    l1: float | None = None
    """Half the sum of what they differ by: 0 the same, 1 nothing in common."""
    privacy: Account | None = None
    """What was spent, where sums are told with noise."""


def run_round(
    federation: Federation, *, now: Callable[[], float] = time.time, step: Callable[[str], None] = lambda what: None
) -> RoundReport:
    """Run one round, and return what it came to; `step` is told what was done.

    Raises BusyError while another runs, InputError, StoreError and ArtifactError where nothing can be published.
    """
    if not federation.sources or not 0 < federation.min_share <= 1 or not 0 < federation.deadline_s <= 3600:
        told_ = (
            f"{len(federation.sources)} shards, min-share {federation.min_share}, deadline {federation.deadline_s} s"
        )
        raise InputError(f"there are {told_}, allowed: 1 and more, above 0 to 1, above 0 to 3600 s")
    with lease(federation.home), closing(History.open(federation.home)) as history:
        return _Round(federation, history, now(), step).run()


class _Round:
    """One round in the making."""

    def __init__(self, federation: Federation, history: History, now: float, step: Callable[[str], None]) -> None:
        self._federation, self._history, self._now, self._step = federation, history, now, step
        self._began_s, self._day = time.monotonic(), int(now // DAY_S)
        last = history.last()
        self._number = 1 + (last.number if last else 0)

    def run(self) -> RoundReport:
        """Publish what an interrupted round left, then go round."""
        federation = self._federation
        resumed = self._publish_pending()
        kept = federation.home / KEPT_FOLDER
        collected = collect(federation.sources, federation.kin, kept, deadline_s=federation.deadline_s, now=self._now)
        self._step("collected")
        told_of = {"resumed": resumed, "shards": tuple(collected.reports), "answered": collected.answered}
        if not collected.shards or collected.answered < federation.min_share * len(federation.sources):
            return self._end("too-few", "", told_of)
        if (releasing := federation.strategy.releasing()) is not None:
            return self._release(releasing, collected, told_of)
        inputs = self._inputs(collected.shards)
        last = self._history.last(published=True)
        if last and last.inputs == inputs and self._now - last.made_at < REFRESH_S:
            return self._end("unchanged", inputs, told_of)
        return self._publish(collected, inputs, told_of)

    def _publish(self, collected: Collected, inputs: str, told_of: dict[str, Any]) -> RoundReport:
        federation = self._federation
        shards = [told(sums, self._day) for sums in collected.shards]
        merged = {region: self._merged(some) for region, some in _regions(collected.shards, shards).items()}
        self._step("merged")
        whole = merged[""]
        was = {region: self._shown(region) for region in merged}
        shown = {region: showing(was[region], of, self._day) for region, of in merged.items()}
        samples = {sums.facts.shard: _samples(one) for sums, one in zip(collected.shards, shards, strict=True)}
        fresh = {report.shard for report in collected.reports if report.outcome == "counted"}
        came = self._increment({shard: of for shard, of in samples.items() if shard in fresh})
        rose = self._rising(came)
        version = 1 + max(newest(federation.folder, Kind.BOARD), (last.version if (last := self._last()) else 0))
        basis, basis_bytes = self._basis(whole, shown[""], collected.shards)
        sums = self._longer(whole)
        factors, factors_bytes = self._factors(sums, shown[""])
        before = self._board()
        codes = {region: Codes(basis, of, _known(before, region, basis)) for region, of in merged.items()}
        board = Board(
            round=self._number,
            lineage=federation.kin.catalog.lineage,
            epoch=max(sums.facts.epoch for sums in collected.shards),
            space=federation.kin.space,
            made_at=int(self._now),
            day=self._day,
            basis=basis.version if basis else 0,
            inputs=inputs,
            sections={region: section(shown[region], codes[region], rose) for region in merged},
        )
        board_bytes = board.encode()
        pending = {_BOARD: (version, board_bytes)}
        if basis_bytes and basis:
            pending[_BASIS] = (basis.version, basis_bytes)
        if (last := self._last()) and last.inputs.startswith(_NOISED):
            pending[_PRIVACY] = (1 + newest(federation.folder, Kind.PRIVACY), withdrawn().encode())
        if factors:
            pending[_FACTORS] = (factors.version, factors_bytes)
        kept = {f"shown/{region}": packed(**of._asdict()) for region, of in shown.items()}
        kept |= {"board": board_bytes, "trend": packed(titles=whole.keys[whole.whole], trend=_trend(whole))}
        kept |= {
            f"samples/{shard}": packed(titles=of[0], samples=of[1], at=np.asarray([self._now]))
            for shard, of in samples.items()
            if shard in fresh
        }
        kept[experiments.KEPT] = packed(rows=experiments.merged_trials(collected.shards))
        kept["heard"] = packed(titles=whole.heard_titles, heard=whole.heard, at=np.asarray([self._now]))
        kept["heard longer"] = packed(**sums._asdict())
        if factors:
            kept["factors"] = msgspec.msgpack.encode((factors_bytes, self._now))
            kept["factors shown"] = packed(**shown[""]._asdict())
        if basis_bytes and basis:
            kept["basis"] = msgspec.msgpack.encode((basis, self._now))
        near, near_kept = self._neighbors(audiences(self._audiences(), whole, was[""], shown[""]))
        pending |= near
        kept |= near_kept
        cosine, l1 = self._moved(whole)
        facts = {
            **told_of,
            "version": version,
            "basis": board.basis,
            "neighbors": near[_NEIGHBORS][0] if near else 0,
            "rows": len(whole.keys),
            "titles": int(whole.whole.sum()),
            "shown": int((shown[""].households >= LEAST_HOUSEHOLDS).sum()),
            "rising": len(rose),
            "quality": _quality(shown[""]),
            "cosine": cosine,
            "l1": l1,
        }
        more = (self._now, packed(titles=came[0], counts=came[1]))
        report = self._end(
            "published", inputs, facts, pending=pending, kept=kept, increment=more, forget_before=self._now - PAST_S
        )
        self._step("written")
        self._publish_pending()
        return report

    def _release(self, releasing: Releasing, collected: Collected, told_of: dict[str, Any]) -> RoundReport:
        """Tell what was released last, after a new release where one is due; nothing else of the sums is told."""
        released = Released.of(self._history.kept("private"))
        kept: dict[str, bytes] = {}
        shown = Showing.of(found) if (found := self._history.kept("private/shown")) else Showing.empty()
        if not (why := reason(released, releasing, self._now)):
            came, kept = self._came(collected.shards)
            released = release(released, came, releasing, self._now)
            shown = shown_of(released, shown, self._day)
            kept |= {"private": _kept(released), "private/shown": _kept(shown)}
        self._step("merged")
        account = privacy(released, releasing, self._now, why)
        inputs, last = f"{_NOISED}{account.releases}", self._last()
        told_of = {**told_of, "privacy": account}
        if why and last and last.inputs == inputs and self._now - last.made_at < REFRESH_S:
            return self._end("unchanged", inputs, told_of)
        version = 1 + max(newest(self._federation.folder, Kind.BOARD), last.version if last else 0)
        board = self._board_of(shown, inputs, account).encode()
        titles = len(self._federation.kin.catalog)
        number = int((shown.households > 0).sum())
        facts = {**told_of, "version": version, "titles": titles, "shown": number, "quality": _quality(shown)}
        pending = {_BOARD: (version, board)}
        pending[_PRIVACY] = (1 + newest(self._federation.folder, Kind.PRIVACY), account.encode())
        report = self._end("published", inputs, facts, pending=pending, kept=kept)
        self._step("written")
        self._publish_pending()
        return report

    def _came(self, shards: Sequence[ShardSums]) -> tuple[Integers, dict[str, bytes]]:
        """Return what came of each title since the last release, and what is to be kept of each shard."""
        titles, kept = len(self._federation.kin.catalog), {}
        came = np.zeros((titles, 2), np.int64)
        for sums in shards:
            name = f"private/{sums.facts.shard}"
            before = self._history.kept(name).get("most", np.zeros((0, 2), np.int64))
            most = highest(before, told(sums, self._day), titles)
            came += most
            came[: len(before)] -= before
            kept[name] = packed(most=most)
        return came, kept

    def _board_of(self, shown: Showing, inputs: str, account: Account) -> Board:
        """Return a board of released figures: without audiences, regions and what rises."""
        kin = self._federation.kin
        nothing = Codes(None, Merged.empty(), {})
        return Board(
            round=self._number,
            lineage=kin.catalog.lineage,
            epoch=kin.catalog.epoch,
            space=kin.space,
            made_at=int(self._now),
            day=self._day,
            basis=0,
            inputs=inputs,
            sections={"": section(shown, nothing, np.zeros(0, np.int64))},
            privacy=account,
        )

    def _end(self, outcome: str, inputs: str, facts: dict[str, Any], **written: Any) -> RoundReport:
        seconds = round(time.monotonic() - self._began_s, 3)
        report = RoundReport(
            number=self._number,
            outcome=outcome,
            strategy=self._federation.strategy.NAME,
            made_at=int(self._now),
            seconds=seconds,
            **facts,
        )
        row = Row(self._number, int(self._now), report.version, inputs, msgspec.json.encode(report))
        self._history.write(row, **written)
        return report

    def _publish_pending(self) -> int:
        """Publish what was written down and isn't out yet, and return the board's version; 0 without any."""
        pending, federation = self._history.pending(), self._federation
        if not pending:
            return 0
        try:
            for kind in (_FACTORS, _BASIS, _NEIGHBORS, _PRIVACY, _BOARD):
                if kind in pending:
                    publish(federation.folder, {kind: pending[kind]}, federation.key, int(self._now))
                    self._step(f"published {kind}")
        except ArtifactError:
            self._history.published()  # another publisher took the version: the next round takes a later one
            raise
        self._history.published()
        self._step("published")
        tidy(federation.folder)
        return pending[_BOARD][0] if _BOARD in pending else 0

    def _inputs(self, shards: Sequence[ShardSums]) -> str:
        """Return what tells these sums, merged in this way, from others."""
        found = blake2b(self._federation.strategy.NAME.encode(), digest_size=16)
        for sums in shards:
            found.update(sums.digest.encode())
        return found.hexdigest()

    def _merged(self, shards: Sequence[Told]) -> Merged:
        return merge(shards, self._federation.strategy, self._federation.engine)

    def _last(self) -> Row | None:
        return self._history.last(published=True)

    def _shown(self, region: str) -> Showing:
        kept = self._history.kept(f"shown/{region}")
        return Showing.of(kept) if kept else Showing.empty()

    def _board(self) -> Board | None:
        data = self._history.kept_bytes("board")
        return decode_board(data) if data else None

    def _basis(self, merged: Merged, shown: Showing, shards: Sequence[ShardSums]) -> tuple[Basis | None, bytes]:
        """Return the basis of this round, and its bytes if it is a new one."""
        federation = self._federation
        data = self._history.kept_bytes("basis")
        if data:
            basis, made_at = msgspec.msgpack.decode(data, type=tuple[Basis, float])
            if basis.space == federation.kin.space and self._now - made_at < BASIS_S:
                return basis, b""
        known = newest(federation.folder, Kind.AUDIENCE)
        version = 1 + max(known, basis.version if data else 0)
        catalog, space = federation.kin.catalog, federation.kin.space
        moments = merged_moments(shards, self._day, federation.strategy)
        found = new_basis(merged, moments, shown, catalog, version=version, space=space, now=self._now)
        return found, found.encode() if found else b""

    def _longer(self, merged: Merged) -> Heard:
        """Return what factors are made of: what was heard until now, with a longer half-life."""
        now = Heard(merged.heard_titles, merged.heard)
        before, kept = self._history.kept("heard"), self._history.kept("heard longer")
        if not before or not kept:
            return now
        days = max(self._now - float(before["at"][0]), 0.0) / DAY_S
        return longer(Heard(**kept), Heard(before["titles"], before["heard"]), now, days)

    def _factors(self, sums: Heard, shown: Showing) -> tuple[Factors | None, bytes]:
        """Return the next item factors and their bytes, once a week; None in between, or as long as nobody is heard."""
        federation, data = self._federation, self._history.kept_bytes("factors")
        before = None
        if data:
            told_bytes, made_at = msgspec.msgpack.decode(data, type=tuple[bytes, float])
            before = decode_factors(told_bytes)
            if before.space == federation.kin.space and self._now - made_at < FACTORS_S:
                return None, b""
        known = self._history.kept("factors shown")
        steady = shown.unchanged(Showing.of(known)) if known else np.zeros(0, np.int64)
        told_titles = shown.titles[shown.households >= LEAST_HOUSEHOLDS]
        version = 1 + max(newest(federation.folder, Kind.FACTORS), before.version if before else 0)
        found = new_factors(sums, told_titles, steady, before, version=version, space=federation.kin.space)
        return found, found.encode() if found else b""

    def _audiences(self) -> Audiences:
        """Return the audiences as the last round took them; none where taste codes are of another space now."""
        kept = self._history.kept("audiences")
        if not kept or int(kept.pop("space")) != self._federation.kin.space:
            return Audiences.empty()
        return Audiences(**kept)

    def _neighbors(self, of: Audiences) -> tuple[dict[str, tuple[int, bytes]], dict[str, bytes]]:
        """Return neighbors that are to be published, if they are due, and what is kept for the next round."""
        federation = self._federation
        kept = {"audiences": packed(**of._asdict(), space=np.asarray(federation.kin.space))}
        version, last = newest(federation.folder, Kind.NEIGHBORS), self._history.kept_bytes(_PUBLISHED)
        known = msgspec.msgpack.decode(last, type=tuple[bytes, int, float]) if last and version else None
        found = neighbors(federation.kin.catalog.lineage, of)
        if not are_due(found, known, self._now):
            return {}, kept
        data = found.encode()
        kept[_PUBLISHED] = msgspec.msgpack.encode((data, len(found.titles), self._now))
        return {_NEIGHBORS: (1 + version, data)}, kept

    def _increment(self, samples: dict[int, tuple[Integers, Integers]]) -> tuple[Integers, Integers]:
        """Return what came to all titles' samples since the last round, at shards that answered then as well."""
        last = self._last()
        parts = []
        for shard, now in samples.items():
            before = self._history.kept(f"samples/{shard}")
            if before and last and before["at"][0] >= last.made_at:
                parts.append(increment((before["titles"], before["samples"]), now))
        return added(parts)

    def _rising(self, came: tuple[Integers, Integers]) -> Integers:
        known = self._history.increments(self._now - PAST_S)
        increments = [Increment(at, found["titles"], found["counts"]) for at, found in known]
        return rising([*increments, Increment(self._now, *came)], self._now, self._federation.rule)

    def _moved(self, merged: Merged) -> tuple[float | None, float | None]:
        """Return cosine and half the L1 distance of the shares of the trend, now and in the round before."""
        before = self._history.kept("trend")
        if not before:
            return None, None
        keys = np.union1d(before["titles"], merged.keys[merged.whole])
        shares = np.zeros((2, len(keys)))
        shares[0, np.searchsorted(keys, before["titles"])] = before["trend"]
        shares[1, np.searchsorted(keys, merged.keys[merged.whole])] = _trend(merged)
        lengths, sums = np.linalg.norm(shares, axis=1), shares.sum(axis=1, keepdims=True)
        if not (lengths > 0).all():
            return None, None
        cosine = float(shares[0] @ shares[1] / lengths.prod())
        return round(cosine, 6), round(float(np.abs(shares[0] / sums[0] - shares[1] / sums[1]).sum() / 2), 6)


def _regions(sums: Sequence[ShardSums], shards: Sequence[Told]) -> dict[str, list[Told]]:
    """Return the shards of each region, and under the empty name all; a region that is all is told once."""
    found: dict[str, list[Told]] = {"": list(shards)}
    for one, arrays in zip(sums, shards, strict=True):
        if one.facts.region:
            found.setdefault(one.facts.region, []).append(arrays)
    return {region: some for region, some in found.items() if not region or len(some) < len(shards)}


def _kept(arrays: Released | Showing) -> bytes:
    return packed(**arrays._asdict())


def _samples(shard: Told) -> tuple[Integers, Integers]:
    """Return a shard's titles and their samples in all contexts."""
    whole = shard.keys % KEYS == ALL_SLOTS
    return shard.keys[whole] // KEYS, shard.sums[0, whole]


def _trend(merged: Merged) -> Any:
    return merged.trends[merged.whole, RANKED_BY]


def _known(board: Board | None, region: str, basis: Basis | None) -> dict[int, Any]:
    if board is None or basis is None or board.basis != basis.version or region not in board.sections:
        return {}
    return {row.title: (row.figures, row.audience) for row in board.sections[region].rows}


def _quality(shown: Showing) -> float:
    of = shown.households >= LEAST_HOUSEHOLDS
    if not of.any():
        return 0.0
    rates = (shown.success_milli[of] / 1000 + PRIOR_SUCCESS) / (shown.samples[of] + PRIOR_SAMPLES)
    return round(float((rates >= LEAST_SUCCESS).mean()), 6)
