"""The way from a TV to its shard: it enrols where it has no token, or none that is taken, and carries frames."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from omega.core.errors import TransportError
from omega.core.identity.gate import answer
from omega.core.identity.messages import Admission, Challenge, decode, encode
from omega.device.sync.memberships import Membership
from omega.device.sync.messages import WireCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.identity.device_key import DeviceKey
    from omega.core.identity.messages import Certificate
    from omega.core.ports import Fetched, TransportClient
    from omega.device.sync.memberships import Memberships

    OpenClient: TypeAlias = Callable[[str, Callable[[], str]], TransportClient]

_EARLY_S = 3_600
"""A token is replaced so long before it ends."""


class Passport:
    """Who a TV is, and what speaks for it."""

    def __init__(
        self,
        key: DeviceKey,
        memberships: Memberships,
        *,
        certificate: Certificate | None = None,
        code: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`certificate` is the maker's word, `code` what a person was told; a shard that knows the TV needs neither."""
        self.memberships, self.now = memberships, now
        self._key, self._certificate, self._code = key, certificate, code

    async def enrol(self, url: str, client: TransportClient) -> Membership:
        """Be admitted by the shard at an address, and keep what it gave. Raises TransportError, InputError."""
        challenge = decode(await client.exchange(b""), Challenge)
        answered = answer(challenge, self._key, shard=None, certificate=self._certificate, code=self._code)
        admission = decode(await self._admitted(url, client, encode(answered)), Admission)
        membership = Membership(admission.shard, admission.token, self.now() + admission.lifetime_s)
        self.memberships.keep(url, membership)
        return membership

    async def _admitted(self, url: str, client: TransportClient, answered: bytes) -> bytes:
        try:
            return await client.exchange(answered)
        except TransportError as error:
            if not error.token_refused:
                raise
            told = f"{url} doesn't admit this TV, allowed: one that it knows, or that brings a code or a maker's word"
            raise TransportError(f"{told}: omega device enrol --code CODE", permanent=True) from error

    def standing(self, url: str) -> Membership | None:
        """Return what the shard at an address gave, if that lasts long enough still."""
        held = self.memberships.at(url)
        return held if held and not self.is_ending(held) else None

    def is_ending(self, membership: Membership) -> bool:
        """Say whether a token is to be replaced."""
        return self.now() > membership.ends_at - _EARLY_S


class ShardLine:
    """A TV's way to the shard at one address, and to those that it was with before."""

    codec = WireCodec()

    def __init__(self, url: str, passport: Passport, open_client: OpenClient) -> None:
        """`open_client` makes the transport's client of an address and of what gives the token."""
        self._url, self._passport, self._open_client = url, passport, open_client
        self._entered: Entry | None = None

    @property
    def shard(self) -> str | None:
        """The name of the shard at the address; None as long as it never admitted the TV."""
        held = self._passport.memberships.at(self._url)
        return held.name if held else None

    async def enter(self) -> str:
        """Return the name of the shard at the address; be admitted there if that never was. Raises as `enrol` does."""
        if (name := self.shard) is None:
            entry = Entry("", self._url, self._passport, self._open_client)
            name = (await entry.enrol()).name
            entry.shard, self._entered = name, entry
        return name

    def connect(self, shard: str) -> Entry:
        """Return the way to a shard by name. Raises TransportError for one that no address is known of."""
        if (entered := self._entered) is not None and entered.shard == shard:
            self._entered = None
            return entered
        url = self._url if self.shard == shard else self._passport.memberships.address(shard)
        if url is None:
            raise TransportError(f"{shard} is at no address that is known: what it is owed waits", permanent=True)
        return Entry(shard, url, self._passport, self._open_client)

    async def enrol(self) -> Membership:
        """Be admitted by the shard at the address, again if it knows the TV. Raises TransportError, InputError."""
        entry = Entry("", self._url, self._passport, self._open_client)
        membership = await entry.enrol()
        await entry.close()
        return membership


class Entry:
    """A client of one shard that enrols by itself; for one running loop."""

    def __init__(self, shard: str, url: str, passport: Passport, open_client: OpenClient) -> None:
        """`shard` is the one that is meant: frames for it go to no other."""
        self.shard = shard
        self._url, self._passport = url, passport
        self._membership = passport.standing(url)
        self._token = ""
        self._client = open_client(url, lambda: self._token)

    async def exchange(self, frame: bytes) -> bytes:
        """Return the answer to a frame. Raises TransportError, and what enrolment raises."""
        if self._membership is None or self._passport.is_ending(self._membership):
            await self._admitted()
        try:
            return await self._told(frame)
        except TransportError as error:
            if not error.token_refused:
                raise
        await self._admitted()
        return await self._told(frame)

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:
        """Fetch what stands at a path, without a token. Raises TransportError."""
        return await self._client.get(path, max_bytes=max_bytes, part=part)

    async def enrol(self) -> Membership:
        """Be admitted, and close when that fails. Raises TransportError, InputError."""
        try:
            return await self._admitted()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of every connection."""
        await self._client.close()

    async def _told(self, frame: bytes) -> bytes:
        if self._membership is None or self._membership.name != self.shard:
            found = self._membership.name if self._membership else "nobody"
            raise TransportError(f"{found} answers at {self._url} where {self.shard} did: what waits is told later")
        self._token = self._membership.token
        return await self._client.exchange(frame)

    async def _admitted(self) -> Membership:
        self._token, self._membership = "", None
        self._membership = await self._passport.enrol(self._url, self._client)
        return self._membership
