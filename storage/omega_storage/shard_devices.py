"""The half of a shard's SQLite store that knows devices: who may come in, under which number, and who is shut out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.core.errors import InputError, StoreError
from omega.core.identity import admission
from omega.core.identity.admission import Way
from omega.core.identity.vouchers import Code
from omega.core.ports import ShardStore
from omega.core.shard_records import DAY_S, DEVICE_ID_BYTES, FOR_GOOD, DeviceRow
from omega_storage.connection import store_errors, transaction
from omega_storage.sql import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omega.core.identity.admission import Candidate
    from omega.core.ports import Integers
    from omega_storage.connection import apsw

_SQL = queries("shard")


class SqliteShardDevices(ShardStore):
    """Devices, codes and makers in one file; use it from one thread at a time."""

    def __init__(self, connection: apsw.Connection, *, max_devices: int) -> None:
        """Take over an open connection to a file of the newest schema. Raises StoreError."""
        self._connection, self._location, self._max_devices = connection, connection.filename, max_devices
        with store_errors(self._location):
            self._devices = int(connection.execute(_SQL["device_count"]).get)

    def bind(self, shard_id: int, key_mark: bytes) -> None:
        """Be this shard's store from now on, with tags by the key of this mark."""
        with store_errors(self._location), transaction(self._connection):
            held = self._connection.execute(_SQL["identity"]).fetchone()
            if held is None:
                self._connection.execute(_SQL["set_identity"], (shard_id, key_mark))
        if held is None:
            return
        if held[0] != shard_id:
            raise StoreError(
                f"{self._location} holds the sums of shard {held[0]}, not of {shard_id}: TVs would be counted twice: "
                "give it its number, or take another file"
            )
        if held[1] != key_mark:
            raise StoreError(
                f"{self._location} counts households by another tag key: they would be counted twice: "
                "put its tags.key back, or take another file"
            )

    def enrol(self, device_ids: Sequence[bytes], now: int) -> list[int | None]:
        """Return the number of each device, None for who may not come in."""
        if bad := next((one for one in device_ids if len(one) != DEVICE_ID_BYTES), None):
            raise InputError(f"a device id has {len(bad)} bytes, allowed {DEVICE_ID_BYTES}: hash its public key")
        before = self._devices
        try:
            with store_errors(self._location), transaction(self._connection):
                return [self._enrolled(device_id, now) for device_id in device_ids]
        except BaseException:
            self._devices = before
            raise

    def admit(self, candidate: Candidate, now: int) -> tuple[int, int] | None:
        """Return the number of a device that may come in, and since when its tokens count; None without room."""
        before = self._devices
        try:
            with store_errors(self._location), transaction(self._connection):
                standing = self._standing(candidate)
                way = admission.judged(candidate, standing, now)
                slot = self._enrolled(candidate.device, now)
                if slot is not None and way is Way.MAKER and candidate.maker:
                    self._connection.execute(_SQL["count_admitted"], (candidate.maker.id,))
                if slot is not None and way is Way.CODE:
                    self._connection.execute(_SQL["use_code"], (candidate.code,))
                return None if slot is None else (slot, standing.counts_from if way is Way.KNOWN else now)
        except BaseException:
            self._devices = before
            raise

    def _standing(self, candidate: Candidate) -> admission.Standing:
        slot, counts_from = self._connection.execute(_SQL["number_of"], (candidate.device,)).fetchone() or (None, 0)
        maker, code = candidate.maker, None
        if candidate.code and (row := self._connection.execute(_SQL["code"], (candidate.code,)).fetchone()):
            code = Code(*row)
        admitted = self._connection.execute(_SQL["admitted"], (maker.id,)).get if maker else 0
        return admission.Standing(slot, counts_from, int(admitted or 0), code)

    def _enrolled(self, device_id: bytes, now: int) -> int | None:
        if found := self._connection.execute(_SQL["number_of"], (device_id,)).fetchone():
            slot, counts_from = found
            return None if counts_from == FOR_GOOD else int(slot)
        if self._devices >= self._max_devices:
            return None
        self._connection.execute(_SQL["enrol"], (self._devices, device_id, now, now // DAY_S))
        self._devices += 1
        return self._devices - 1

    def add_code(self, code: Code, now: int) -> None:
        """Admit as many devices as the code has uses."""
        with store_errors(self._location), transaction(self._connection):
            self._connection.execute(_SQL["drop_codes"], (now,))
            self._connection.execute(_SQL["add_code"], (code.digest, code.uses, code.ends_at))

    def revoke(self, device_id: bytes) -> bool:
        """Shut a device out for good."""
        with store_errors(self._location):
            self._connection.execute(_SQL["revoke"], (device_id, FOR_GOOD))
            return self._connection.changes() > 0

    def revoked(self) -> list[int]:
        """Return the numbers of the devices that were shut out."""
        return [slot for (slot,) in self._read("revoked")]

    def counts_from(self) -> Integers:
        """Return (n,) since when the tokens of each device count, by number."""
        return np.asarray([moment for (moment,) in self._read("counts_from")], np.int64)

    def device(self, slot: int) -> DeviceRow | None:
        """Return what is known of a device."""
        with store_errors(self._location):
            return self._device_rows([slot]).get(slot)

    def device_count(self) -> int:
        """Return how many devices are enrolled."""
        return self._devices

    def _device_rows(self, slots: Iterable[int]) -> dict[int, DeviceRow]:
        rows: Iterable[Any] = self._connection.execute(_SQL["devices"], (json.dumps(list(slots)),))
        return {row[0]: DeviceRow(*row) for row in rows}

    def _read(self, name: str, *values: float) -> list[Any]:
        with store_errors(self._location):
            return self._connection.execute(_SQL[name], values).fetchall()
