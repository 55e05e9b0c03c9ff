"""Tells systemd how the daemon is, where systemd started it: sd_notify's datagrams, without its library."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send a state, as sd_notify(3) does; nothing without NOTIFY_SOCKET, nor when nobody listens there."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        sender.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how often `ALIVE` is due: half of what sd_watchdog_enabled(3) says; None when nobody waits for it."""
    period, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    meant = pid in ("", str(os.getpid()))
    return int(period) / 2e6 if meant and period.isdecimal() and int(period) > 0 else None
