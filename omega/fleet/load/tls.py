"""TLS that goes on where the last connection ended: a context that gives each new connection the newest session."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class ResumingContext(ssl.SSLContext):
    """Verifies as the default context does, and resumes; asyncio and uvloop have no argument for a session."""

    resumed: int
    """Connections that went on with a session."""
    _newest: ssl.SSLSession | None

    @classmethod
    def trusting(cls, ca: Path | None) -> ResumingContext:
        """Return a context that trusts these authorities, the system's without any. Raises OSError."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.resumed, context._newest = 0, None
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca)
        return context

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Return the TLS of a new connection, with the newest session that an earlier one was given."""
        return super().wrap_bio(*args, **kwargs | {"session": self._newest})

    def answered(self, connection: ssl.SSLObject) -> None:
        """Take what an answered connection was given to go on with: TLS 1.3 gives it after the handshake."""
        self.resumed += bool(connection.session_reused)
        session = connection.session
        if session is not None and session.has_ticket:
            self._newest = session
