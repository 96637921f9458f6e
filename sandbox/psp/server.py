"""A uvicorn server whose connections a handler can drop, as failing networks do."""

import asyncio
import socket
import struct

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LOOPBACK = "127.0.0.1"
KEEP_ALIVE_S = 60  # longer than clients keep theirs, so that no call meets a closing connection
TRANSPORT = "sandbox.transport"


class DroppableProtocol(HttpToolsProtocol):
    """Lets a handler reach the connection that its request came on."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


def drop_connection(scope: Scope, *, reset: bool) -> None:
    """Close the request's connection without a word; with `reset`, by a TCP reset."""
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
    if reset:
        connection: socket.socket = transport.get_extra_info("socket")
        # A linger time of zero makes the kernel send RST in place of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def serve(app: ASGIApp, port: int, host: str = LOOPBACK) -> None:
    """Serve until SIGINT or SIGTERM; port 0 lets the system choose."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=DroppableProtocol,
        log_level="info",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run()
