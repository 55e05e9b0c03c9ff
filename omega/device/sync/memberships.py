"""Which shards have admitted a TV, under which addresses, and the tokens that they gave: a file beside the TV's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from omega.core.errors import InputError
from omega.core.identity.secret_file import read_secret, replace_secret

if TYPE_CHECKING:
    from pathlib import Path

MOST = 32
"""Addresses that are kept; with more, the one whose token ended first is given up."""
_MAX_FILE_BYTES = 65_536


class Membership(msgspec.Struct, frozen=True):
    """What a shard gave a TV at one address."""

    shard: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]
    """Its number, which names it in the TV's ledger, wherever it moves."""
    token: str
    ends_at: float
    """Unix seconds by the TV's own clock."""

    @property
    def name(self) -> str:
        """What the ledger calls the shard."""
        return f"shard-{self.shard}"


class Memberships:
    """The file, read at every question: a daemon and a command may both enrol."""

    def __init__(self, path: Path) -> None:
        """`path` is made when a shard first admits the TV."""
        self._path = path

    def at(self, url: str) -> Membership | None:
        """Return what the shard at this address gave, None for one that never admitted the TV. Raises InputError."""
        return self._read().get(url)

    def address(self, shard: str) -> str | None:
        """Return the address at which a shard answered last, by its name in the ledger. Raises InputError."""
        found = [(held.ends_at, url) for url, held in self._read().items() if held.name == shard]
        return max(found)[1] if found else None

    def keep(self, url: str, membership: Membership) -> None:
        """Keep what the shard at this address gave now. Raises InputError when it can't be written."""
        held = self._read() | {url: membership}
        newest = sorted(held.items(), key=lambda item: item[1].ends_at)[-MOST:]
        replace_secret(self._path, msgspec.json.encode(dict(newest)))

    def _read(self) -> dict[str, Membership]:
        """Return all; nothing where the file is damaged, since enrolling brings it back."""
        try:
            return msgspec.json.decode(read_secret(self._path, _MAX_FILE_BYTES), type=dict[str, Membership])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return {}
        except InputError:
            if not self._path.exists():
                return {}
            raise
