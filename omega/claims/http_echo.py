"""A server process of the claims about HTTP: `python -m omega.claims.http_echo door|bare FD`.

Both take 195 B and give 450 B on uvloop and httptools: `door` as a shard's transport does, `bare` as the shortest ASGI
application under uvicorn.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

from omega.core.ports import Reply, SyncApp
from omega_plugins.transports.http.server import run, serve_until_told

if TYPE_CHECKING:
    from pathlib import Path

REPLY = bytes(450)
_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"450")]}
_BODY = {"type": "http.response.body", "body": REPLY}


class Echo(SyncApp):
    """Answers every frame with the same bytes."""

    async def sync(self, _token: str, _body: bytes) -> Reply:
        """Return 450 B."""
        return Reply(200, REPLY)

    def artifact(self, _sha256: str) -> Path | None:
        """Have none."""
        return None

    def health(self) -> Reply:
        """Be well."""
        return Reply(200, b"{}")


async def bare(_scope: Any, receive: Any, send: Any) -> None:
    """Read the body and answer with 450 B."""
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_BODY)


def main(which: str, descriptor: int) -> None:
    """Serve on a listening socket until SIGTERM."""
    bound = socket.socket(fileno=descriptor)
    if which == "door":
        run(serve_until_told(Echo(), bound))
    else:
        config = uvicorn.Config(
            bare,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        uvicorn.Server(config).run([bound])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
