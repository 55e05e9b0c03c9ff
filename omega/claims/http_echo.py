"""A server process of the claims about HTTP: `python -m omega.claims.http_echo door|bare FD BYTES`.

Both take anything and give so many bytes on uvloop and httptools: `door` as a shard's transport does, `bare` as the
shortest ASGI application under uvicorn.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

from omega.core.ports import Reply, SyncApp
from omega_plugins.transports.http.server import run, serve_until_told

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path


class Echo(SyncApp):
    """Answers every frame with the same bytes."""

    def __init__(self, size_bytes: int) -> None:
        """Answer with so many."""
        self._reply = Reply(200, bytes(size_bytes))

    async def sync(self, _token: str, _body: bytes) -> Reply:
        """Return them."""
        return self._reply

    def artifact(self, _sha256: str) -> Path | None:
        """Have none."""
        return None

    def health(self) -> Reply:
        """Be well."""
        return Reply(200, b"{}")


def bare(size_bytes: int) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """Return the shortest application that reads a body and answers with so many bytes."""
    headers = [(b"content-length", b"%d" % size_bytes)]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    body = {"type": "http.response.body", "body": bytes(size_bytes)}

    async def answer(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(start)
        await send(body)

    return answer


def main(which: str, descriptor: int, size_bytes: int) -> None:
    """Serve on a listening socket until SIGTERM."""
    bound = socket.socket(fileno=descriptor)
    if which == "door":
        run(serve_until_told(Echo(size_bytes), bound))
    else:
        config = uvicorn.Config(
            bare(size_bytes),
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
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
