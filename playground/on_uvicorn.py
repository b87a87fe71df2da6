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

from playground.framing import framed, unmasked
from playground.rooms.direct import DIRECT, Direct
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
        self.direct = Direct(self.write)
        transport.set_write_buffer_limits(high=OUTBOX_BYTES_MAX)

    async def run_asgi(self) -> None:
        self.scope["extensions"][DIRECT] = self.direct
        await super().run_asgi()

    def write(self, text: str) -> bool:
        """Writes `text` at once, if the socket takes it now."""
        if not (self.handshake_complete and self.writable.is_set()) or self.close_sent:
            return False
        if self.disconnected or self.transport.is_closing():
            return False
        self.transport.write(framed(text))
        return True

    def data_received(self, data: bytes) -> None:
        """An acknowledgement that comes alone is dealt with at once; all else is uvicorn's."""
        if self.handshake_complete and not self.close_sent and self.between_frames():
            text = unmasked(data)
            if text is not None and self.direct.take(text):
                return
        super().data_received(data)

    def between_frames(self) -> bool:
        """Whether what comes next is the beginning of a frame. The parser is generators, and the innermost
        tells by its name; if it should ever have another, everything goes by the parser."""
        waits_in = self.conn.parser
        while (deeper := waits_in.gi_yieldfrom) is not None:
            waits_in = deeper
        return waits_in.__name__ == "at_eof"

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
            if not self.write(message["text"]):
                raise ClientDisconnected("it is not connected any more")
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
            ws_max_size=SOCKET_MESSAGE_BYTES_MAX, ws_per_message_deflate=False,
            timeout_graceful_shutdown=STOPS_S, access_log=False, server_header=False, proxy_headers=False,
            log_level="error",
        )
    )  # fmt: skip
    warm()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: sys.exit(0))  # uvicorn raises it once more when it has stopped
    with contextlib.suppress(SystemExit):  # that, or it could not listen, and has said why
        asyncio.run(server.serve())
    return 0 if server.started else 1
