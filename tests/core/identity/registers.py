"""A shard's store of devices, in memory: what `judged` is given, and what its answer spends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.identity.admission import Candidate, Standing, Way, judged

if TYPE_CHECKING:
    from omega.core.identity.vouchers import Code


class Register:
    """Gives slots from 0."""

    def __init__(self) -> None:
        self.slots: dict[bytes, int] = {}
        self.counts_from: dict[int, int] = {}
        self.by_maker: dict[bytes, int] = {}
        self.codes: dict[bytes, Code] = {}

    def enrol(self, candidate: Candidate, now: float) -> int:
        """Return the device's slot, or raise DeniedError."""
        slot = self.slots.get(candidate.device)
        way = judged(
            candidate,
            Standing(
                slot=slot,
                counts_from=self.since(slot),
                admitted_by_maker=self.by_maker.get(candidate.maker.id, 0) if candidate.maker else 0,
                code=self.codes.get(candidate.code) if candidate.code else None,
            ),
            now,
        )
        if way is Way.MAKER and candidate.maker:
            self.by_maker[candidate.maker.id] = self.by_maker.get(candidate.maker.id, 0) + 1
        if way is Way.CODE and candidate.code:
            code = self.codes[candidate.code]
            self.codes[candidate.code] = type(code)(code.digest, code.uses - 1, code.ends_at)
        return self.slots.setdefault(candidate.device, len(self.slots))

    def since(self, slot: int | None) -> int:
        """Return since when the slot's tokens count."""
        return 0 if slot is None else self.counts_from.get(slot, 0)
