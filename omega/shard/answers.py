"""What a shard answers: a receipt with, perhaps, a pull; or that it can't be now."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from omega.core.errors import InputError
from omega.core.wire import Ack, Pull, Resync


class Refusal(StrEnum):
    """Why a push was not even looked at, or could not be stored; nothing of it was counted."""

    BUSY = "busy"
    """Too many wait already."""
    DRAINING = "draining"
    """The shard is about to stop."""
    TOO_OFTEN = "too-often"
    """This device came too often."""
    STORE = "store"
    """The store failed: the disk is full, or can't be written."""
    STRANGER = "stranger"
    """No such device, or it was revoked: it must enrol again."""


class NoPushError(InputError):
    """A frame that a shard sends, and doesn't take."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("the frame is no push: send a push")


class Refused(msgspec.Struct, frozen=True):
    """A refusal; the device keeps what it has and comes again."""

    reason: Refusal
    retry_after_s: int


class Answer(msgspec.Struct, frozen=True):
    """The whole answer to one sync."""

    receipt: Ack | Resync | Refused
    pull: Pull | None = None
    """None when the device has it already. The same object for all of an epoch, unless it answers a question."""


Receipt: TypeAlias = Ack | Resync | Refused
