"""Whole daemons are started here too."""

from __future__ import annotations

from tests.device.daemon.conftest import folder, start

__all__ = ["folder", "start"]
