"""uvicorn, with our limits: its sockets bounded both ways, and told when the process is to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from playground.framing import framed
from playground.rooms.limits import OUTBOX_BYTES_MAX, SOCKET_MESSAGE_BYTES_MAX

UNTAKEN_MAX = 32
"""Messages that wait for the application before the socket is not read any more."""

STOPS_S = 5
"""How long a stop waits for connections before it ends them."""


class Socket(WebSocketsSansIOProtocol):
    """uvicorn's socket. Its back-pressure is on (a frame waits until the socket takes it), but who does not
    read is not waited for when it is to be closed; and what costs much for each small frame is not done."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=OUTBOX_BYTES_MAX)

    def send_receive_event_to_app(self) -> None:
        """uvicorn stops reading after each message and begins again when it was taken: two system calls for
        each acknowledgement. Here it does when many wait."""
        paused, self.read_paused = self.read_paused, True
        super().send_receive_event_to_app()
        self.read_paused = paused
        if not paused and self.queue.qsize() >= UNTAKEN_MAX:
            self.read_paused = True
            self.transport.pause_reading()

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.send" and self.handshake_complete and not self.close_sent:
            await self.writable.wait()
            if self.disconnected or self.close_sent or self.transport.is_closing():
                raise ClientDisconnected("it is not connected any more")
            self.transport.write(framed(message["text"]))
        elif kind == "websocket.close" and self.handshake_complete and not self.writable.is_set():
            self.transport.abort()  # nothing reaches it: a farewell would wait for ever
        else:
            await super().send(message)

    def keepalive_timeout(self) -> None:
        """No answer to a ping: nobody is there who could take what is still to be written."""
        super().keepalive_timeout()
        self.transport.abort()


class MailroomServer(uvicorn.Server):
    """Tells sockets to come back before uvicorn closes them."""

    async def shutdown(self, sockets: Any = None) -> None:
        from playground.rooms.consumers import close_all

        for server in self.servers:
            server.close()
        await close_all()
        await super().shutdown(sockets)


def run(host: str, port: int) -> int:
    """Serves until told to stop. Returns the exit status."""
    from playground.asgi import application
    from playground.rooms.history import warm

    server = MailroomServer(
        uvicorn.Config(
            application, host=host, port=port, loop="asyncio", http="h11", ws=Socket, lifespan="off",
            ws_max_size=SOCKET_MESSAGE_BYTES_MAX, ws_per_message_deflate=False, timeout_graceful_shutdown=STOPS_S,
            access_log=False, server_header=False, proxy_headers=False, log_level="error",
        )
    )  # fmt: skip
    warm()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            told, lambda *_: sys.exit(0)
        )  # uvicorn, when it has stopped, raises the signal once more
    with contextlib.suppress(SystemExit):  # that, or it could not listen, and has said why
        asyncio.run(server.serve())
    return 0 if server.started else 1
