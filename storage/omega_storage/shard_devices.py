"""The half of a shard's store that knows devices: who may come in, under which number, and who is shut out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import InputError, StoreError
from omega.core.identity import admission
from omega.core.identity.admission import Way
from omega.core.identity.vouchers import Code
from omega.core.ports import ShardStore
from omega.core.shard_records import DAY_S, DEVICE_ID_BYTES, FOR_GOOD, DeviceRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omega.core.identity.admission import Candidate
    from omega.core.ports import Integers
    from omega_storage.shard_tables import Tables


class ShardDevices(ShardStore):
    """Devices, codes and makers in one database; use it from one thread at a time."""

    def __init__(self, tables: Tables, *, max_devices: int) -> None:
        """Work on tables of the newest schema."""
        self._tables, self._max_devices = tables, max_devices

    def bind(self, shard_id: int, key_mark: bytes) -> None:
        """Be this shard's store from now on, with tags by the key of this mark."""
        with self._enrolling():
            held = self._tables.read("identity")
            if not held:
                self._tables.read("set_identity", shard_id, key_mark)
                return
        [(held_id, held_mark)] = held
        if held_id != shard_id:
            raise StoreError(
                f"{self._tables.location} holds the sums of shard {held_id}, not of {shard_id}: TVs would be counted "
                "twice: give it its number, or take another store"
            )
        if held_mark != key_mark:
            raise StoreError(
                f"{self._tables.location} counts households by another tag key: they would be counted twice: "
                "put its tags.key back, or take another store"
            )

    def identity(self) -> int | None:
        """Return the number of the shard that the store is bound to."""
        return next((int(shard) for shard, _ in self._tables.read("identity")), None)

    def enrol(self, device_ids: Sequence[bytes], now: int) -> list[int | None]:
        """Return the number of each device, None for who may not come in."""
        if bad := next((one for one in device_ids if len(one) != DEVICE_ID_BYTES), None):
            raise InputError(f"a device id has {len(bad)} bytes, allowed {DEVICE_ID_BYTES}: hash its public key")
        with self._enrolling():
            return self._enrolled(device_ids, now)

    def admit(self, candidate: Candidate, now: int) -> tuple[int, int] | None:
        """Return the number of a device that may come in, and since when its tokens count; None without room."""
        with self._enrolling():
            standing = self._standing(candidate)
            way = admission.judged(candidate, standing, now)
            [slot] = self._enrolled([candidate.device], now)
            if slot is not None and way is Way.MAKER and candidate.maker:
                self._tables.read("count_admitted", candidate.maker.id)
            if slot is not None and way is Way.CODE:
                self._tables.read("use_code", candidate.code)
            return None if slot is None else (slot, standing.counts_from if way is Way.KNOWN else now)

    @contextmanager
    def _enrolling(self) -> Iterator[None]:
        """Run the block as a transaction that no other of these overlaps."""
        with self._tables.transaction():
            self._tables.lock("enrolment")
            yield

    def _standing(self, candidate: Candidate) -> admission.Standing:
        known = self._tables.read("numbers_of", self._tables.among([candidate.device]))
        slot, counts_from = known[0][1:] if known else (None, 0)
        code, admitted = None, 0
        if candidate.code and (row := self._tables.read("code", candidate.code)):
            code = Code(*row[0])
        if candidate.maker and (row := self._tables.read("admitted", candidate.maker.id)):
            admitted = row[0][0]
        return admission.Standing(slot, counts_from, admitted, code)

    def _enrolled(self, device_ids: Sequence[bytes], now: int) -> list[int | None]:
        """Give numbers to those who have none, as long as there is room."""
        found = self._tables.read("numbers_of", self._tables.among(device_ids)) if device_ids else []
        numbers = {one: None if counts_from == FOR_GOOD else slot for one, slot, counts_from in found}
        new = [one for one in dict.fromkeys(device_ids) if one not in numbers]
        slots = range(self.device_count(), self._max_devices)[: len(new)]
        if slots:
            same = np.ones(len(slots), np.int64)
            self._tables.write("enrol", list(slots), new[: len(slots)], now * same, now // DAY_S * same)
        numbers |= dict(zip(new, slots, strict=False))
        return [numbers.get(one) for one in device_ids]

    def add_code(self, code: Code, now: int) -> None:
        """Admit as many devices as the code has uses."""
        with self._enrolling():
            self._tables.read("drop_codes", now)
            self._tables.read("add_code", code.digest, code.uses, code.ends_at)

    def revoke(self, device_id: bytes) -> bool:
        """Shut a device out for good."""
        return bool(self._tables.read("revoke", device_id, FOR_GOOD))

    def revoked(self) -> list[int]:
        """Return the numbers of the devices that were shut out."""
        return [slot for (slot,) in self._tables.read("revoked")]

    def counts_from(self, first: int = 0) -> Integers:
        """Return (n,) since when the tokens of each device count, by number."""
        return np.asarray([moment for (moment,) in self._tables.read("counts_from", first)], np.int64)

    def device(self, slot: int) -> DeviceRow | None:
        """Return what is known of a device."""
        rows = self._tables.read("devices", self._tables.among([slot]))
        return DeviceRow(*rows[0]) if rows else None

    def find(self, device_id: bytes) -> DeviceRow | None:
        """Return what is known of the device with this id."""
        known = self._tables.read("numbers_of", self._tables.among([device_id]))
        return self.device(known[0][1]) if known else None

    def device_count(self) -> int:
        """Return how many devices are enrolled."""
        [(count,)] = self._tables.read("device_count")
        return int(count)
