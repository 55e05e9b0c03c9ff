"""A device as an attacker may write one: it enrols, and tells in real frames whatever it likes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from omega.core.errors import TransportError
from omega.core.identity import gate
from omega.core.identity.messages import Admission, Challenge, decode, encode
from omega.core.identity.vouchers import certify
from omega.core.wire import REPLY_LIMIT, Ack, Pull, Push, plan_push, split
from omega.core.wire import decode as read
from omega.core.wire import encode as framed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.identity.device_key import DeviceKey
    from omega.core.wire import Header, Message, Row
    from omega.shard.app import ShardApp

_OK, _DENIED = 200, 401


@dataclass
class Speaker:
    """One device of one shard; what it says is counted once, as that of any other."""

    key: DeviceKey
    shard: int
    token: str = ""
    version: int = 0
    counted: int = field(default=0, compare=False)
    """Samples and retractions that were acknowledged."""

    async def enrol(self, app: ShardApp, maker: DeviceKey) -> bool:
        """Enrol with this maker's word for it, and say whether it was admitted. Raises TransportError."""
        challenge = decode((await app.sync("", b"")).body, Challenge)
        word = certify(maker, self.key.public_key)
        signed = gate.answer(challenge, self.key, shard=None, certificate=word)
        reply = await app.sync("", encode(signed))
        if reply.status == _DENIED:
            return False
        if reply.status != _OK:
            raise TransportError(f"enrolment is answered {reply.status}, allowed: 200 or 401")
        self.token = decode(reply.body, Admission).token
        return True

    async def tell(self, app: ShardApp, header: Header, given: Sequence[Row], back: Sequence[Row] = ()) -> None:
        """Tell all of it, frame by frame, until it is counted or the shard takes no more of this device today."""
        contributed, retracted = list(given), list(back)
        while contributed or retracted:
            wish = Push(
                header=header,
                incarnation=1,
                base=self.version,
                contributed=tuple(contributed),
                retracted=() if contributed else tuple(retracted),  # nothing is taken back before something was given
            )
            planned = plan_push(wish)
            replies = await self._asked(app, planned.frame)
            if not any(isinstance(reply, Ack) and reply.version == planned.push.version for reply in replies):
                return
            self.version = planned.push.version
            self.counted += len(planned.contributed) + len(planned.retracted)
            contributed, retracted = _left(contributed, planned.contributed), _left(retracted, planned.retracted)

    async def pull(self, app: ShardApp, header: Header) -> Pull:
        """Return what everybody is told now. Raises TransportError."""
        frame = framed(Push(header=header, incarnation=1, base=self.version, step=0))
        for reply in await self._asked(app, frame):
            if isinstance(reply, Pull):
                return reply
        raise TransportError("the shard tells nothing, allowed: a pull")

    def again(self) -> Speaker:
        """Return the same device, to go on from here in another world."""
        return Speaker(self.key, self.shard, self.token, self.version)

    async def _asked(self, app: ShardApp, frame: bytes) -> list[Message]:
        """Return what the shard answers; nothing where it takes no more."""
        reply = await app.sync(self.token, frame)
        if reply.status != _OK:
            return []
        return [read(part, max_bytes=REPLY_LIMIT) for part in split(reply.body, max_bytes=REPLY_LIMIT)]


def _left(rows: list[Row], gone: Sequence[int]) -> list[Row]:
    away = set(gone)
    return [row for place, row in enumerate(rows) if place not in away]
