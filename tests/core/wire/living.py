"""Messages of every shape, for hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

from omega.core.wire.messages import Ack, Artifact, Header, Pull, Push, Reason, Resync, Row, Similar, Trend, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")
U63 = (1 << 63) - 1
U32 = (1 << 32) - 1


def tuples(of: st.SearchStrategy[T], key: Callable[[T], Hashable]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(of, max_size=12, unique_by=key).map(tuple)


days = st.integers(0, 65_535) | st.integers(20_690, 20_700)
slots = st.integers(0, 7)
shares = st.integers(0, 250).map(lambda quarter: 4 * quarter)
tastes = st.sampled_from((b"", bytes(22), b"\xff" * 22)) | st.binary(min_size=22, max_size=22)
ordinals = st.integers(0, U32) | st.integers(0, 50)
known = st.builds(Row, ordinals, slots, days, shares, tastes)
unknown = st.builds(Row, st.integers(0, (1 << 40) - 1), slots, days, shares, tastes, st.just(value=True))
rows = tuples(known | unknown, lambda row: (row.hashed, row.title, row.slot, row.day))
headers = st.builds(Header, space=st.integers(0, 0xFFFFFF), lineage=st.integers(0, 0xFFFFFF), epoch=ordinals)
versions = st.integers(0, U63 - U32) | st.integers(0, 300)
trials = tuples(
    st.integers(0, 255).flatmap(
        lambda watched: st.builds(
            Trial,
            st.integers(0, U32),
            slots,
            days,
            st.just(watched),
            st.integers(0, watched),
            st.integers(0, 1_440),
        )
    ),
    lambda trial: (trial.experiment, trial.arm, trial.day),
)
pushes = st.builds(
    Push,
    header=headers,
    incarnation=st.integers(0, U32),
    base=versions,
    step=st.integers(0, U32) | st.integers(0, 3),
    known_pull=st.integers(0, U63),
    contributed=rows,
    retracted=rows,
    trials=trials,
    trials_retracted=trials,
    asks=tastes,
)
acks = versions.flatmap(
    lambda version: st.builds(
        Ack,
        header=headers,
        incarnation=st.integers(0, U32),
        version=st.just(version),
        horizon=st.integers(0, version),
        retry_after_s=st.integers(0, U32),
        next_sync_s=st.integers(0, U32),
        similar_allowed=st.booleans(),
        resolved=tuples(st.tuples(st.integers(0, (1 << 40) - 1), ordinals), lambda pair: pair[0]),
    )
)
resyncs = st.builds(
    Resync, header=headers, incarnation=st.integers(0, U32), version=versions, reason=st.sampled_from(Reason)
)
places = st.none() | slots
bytes_ = st.integers(0, 255)
audiences = st.just(b"") | st.binary(min_size=6, max_size=6)
pulls = st.builds(
    Pull,
    header=headers,
    pull_id=st.integers(0, U63),
    trending=tuples(
        st.builds(Trend, ordinals, places, ordinals, shares, bytes_, audiences), lambda trend: (trend.title, trend.slot)
    ),
    similar=tuples(
        st.builds(Similar, ordinals, places, ordinals, shares, bytes_), lambda near: (near.title, near.slot)
    ),
    removed=tuples(ordinals, lambda ordinal: ordinal),
    artifacts=tuples(
        st.builds(
            Artifact,
            st.integers(1, 255),
            st.integers(0, U63),
            st.binary(min_size=16, max_size=16),
            st.integers(0, U63),
        ),
        lambda artifact: (artifact.kind, artifact.version, artifact.digest),
    ),
)
messages = pushes | acks | resyncs | pulls
