"""Whether a candidate gets a slot: one rule for every store, to be applied inside the transaction that gives it."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn

import msgspec

from omega.core.errors import DeniedError
from omega.core.identity.tokens import FOR_GOOD
from omega.core.identity.vouchers import Code, Maker


class Candidate(msgspec.Struct, frozen=True):
    """A device that proved that it holds its key, and what speaks for it."""

    device: bytes
    """Its id, 16 B."""
    maker: Maker | None = None
    """Whose certificate it showed, checked already."""
    code: bytes | None = None
    """The digest of the code that it gave."""
    everybody: bool = False
    """The shard admits whoever comes."""


class Standing(msgspec.Struct, frozen=True):
    """What a shard's store knows of a candidate."""

    slot: int | None = None
    """The device's, when it was admitted before."""
    counts_from: int = 0
    """Since when its tokens count, unix seconds."""
    admitted_by_maker: int = 0
    """Devices that were ever admitted by the candidate's maker."""
    code: Code | None = None
    """The one of the candidate's digest."""


class Way(StrEnum):
    """What admitted a device, and so what the store writes beside the slot."""

    KNOWN = "known"
    """It has its slot; nothing is spent."""
    EVERYBODY = "everybody"
    MAKER = "maker"
    """One more of the maker's quota."""
    CODE = "code"
    """One use less of the code."""


def judged(candidate: Candidate, standing: Standing, now: float) -> Way:
    """Return how the candidate is admitted, or raise DeniedError.

    The store MUST read the standing and write what the way spends in one transaction: two devices with the last use of
    a code are otherwise both admitted.
    """
    if standing.counts_from == FOR_GOOD:  # later than now is also who came before the clock was set back
        deny("revoked")
    if standing.slot is not None:
        return Way.KNOWN
    if candidate.everybody:
        return Way.EVERYBODY
    if candidate.maker and standing.admitted_by_maker < candidate.maker.quota:
        return Way.MAKER
    if standing.code and standing.code.live(now):
        return Way.CODE
    return deny("quota" if candidate.maker else "unvouched")


def deny(reason: str) -> NoReturn:
    """Raise the one DeniedError of enrolment."""
    raise DeniedError(
        "enrolment is refused, allowed: a fresh challenge signed by a device that this shard knows, or that brings a "
        "certificate or code that it takes: ask for a new challenge",
        reason,
    )
