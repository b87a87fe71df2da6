"""Daphne, with our limits: its sockets bounded both ways, and told when the process is to stop."""

from __future__ import annotations

# Daphne chooses Twisted's reactor and must come before anything that could import it.
from daphne.server import Server  # isort: skip
from daphne.endpoints import build_endpoint_description_strings  # isort: skip
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol  # isort: skip
from twisted.internet.tcp import Connection  # isort: skip

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from playground.framing import framed, unmasked
from playground.rooms.direct import DIRECT, Direct
from playground.rooms.limits import HTTP_TIMEOUT_S, OUTBOX_BYTES_MAX, SOCKET_MESSAGE_BYTES_MAX

REASON_BYTES_MAX = 123
"""What a close frame has room for. Our reasons are ASCII, so a cut hits no character."""

CLOSE_ANSWER_S = 5
"""How long the other end may take to answer a close frame before the connection is cut. Autobahn's second is
less than a phone behind a slow network needs, and whoever is cut off may not have read the code."""


class Socket(WebSocketProtocol):
    """Daphne's socket, able to close with the codes that servers may use (1009, 1012) and with a reason
    (Autobahn's `sendClose` allows applications 1000 and 3000–4999 only), and bounded in what it holds
    for a client that acknowledges frames without reading them."""

    unread_bytes = 0
    """Written since the client fell behind."""

    behind = False

    transport: Connection

    def onOpen(self) -> None:
        self.transport.unregisterProducer()  # the HTTP request's, which this connection began as
        self.transport.registerProducer(self, True)
        self.failByDrop = False  # say 1009 when a message is too large, do not just hang up
        self.closeHandshakeTimeout = CLOSE_ANSWER_S
        super().onOpen()

    def pauseProducing(self) -> None:
        """The transport has more than it can pass on: the client does not read (or not fast enough)."""
        self.behind = True

    def resumeProducing(self) -> None:
        self.behind = False
        self.unread_bytes = 0

    def stopProducing(self) -> None:
        """The connection is gone."""

    def dataReceived(self, data: bytes) -> None:
        """An acknowledgement that comes alone is dealt with at once; all else is Autobahn's."""
        if self.wasMaxFramePayloadSizeExceeded or self.wasMaxMessagePayloadSizeExceeded:
            return
        if self.state == self.STATE_OPEN and not self.data and self.current_frame is None:
            text = unmasked(data)
            if text is not None and self.direct.take(text):
                return
        super().dataReceived(data)

    def _max_message_size_exceeded(self, *args: Any) -> None:
        """Autobahn has said 1009 and would hang up at the message's next piece: whoever is still sending it
        then fails to send, and may never read why. So our side ends here, and theirs is thrown away until
        they have read it and end it too, or have not for `CLOSE_ANSWER_S`."""
        super()._max_message_size_exceeded(*args)
        self.transport.loseWriteConnection()

    def write(self, text: str) -> bool:
        """Writes `text` at once, if the socket takes it now."""
        if self.behind or self.state != self.STATE_OPEN:
            return False
        return self.writes(framed(text))

    def writes(self, frame: bytes) -> bool:
        """Twisted waits for the socket to say that it can be written to, which takes four system calls. While
        nothing waits before it, a frame goes straight into the socket, and only its rest by Twisted's way."""
        transport = self.transport
        if transport.disconnecting or transport._tempDataBuffer or transport.dataBuffer:
            transport.write(frame)
            return True
        written = transport.writeSomeData(frame)
        if not isinstance(written, int):
            return False
        if written < len(frame):
            transport.write(frame[written:])
        return True

    def serverSend(self, content: Any, binary: bool = False) -> None:
        """Sends a text, as large as it is: 8 KiB bound what comes in. Raises `ConnectionError` when the
        other end has gone. Nothing is compressed or queued, so Autobahn's own way would only cost time."""
        if self.state != self.STATE_OPEN:
            raise ConnectionError("it is not connected any more")
        if self.behind:
            self.unread_bytes += len(content)
            if self.unread_bytes > OUTBOX_BYTES_MAX:
                self.dropConnection(abort=True)
                return
        if not self.writes(framed(content)):
            raise ConnectionError("the connection was lost")

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message.get("type") == "websocket.close" and self.state == self.STATE_OPEN:
            reason = message.get("reason") or ""
            self.sendCloseFrame(message.get("code") or 1000, reason.encode()[:REASON_BYTES_MAX] or None)
        else:
            super().handle_reply(message)


WebSocketFactory.protocol = Socket


class MailroomServer(Server):
    """Daphne, which gives sockets their direct way (`rooms/direct.py`), says in one sentence that it could
    not listen, and has an exit status that says so too."""

    failed = False

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, Socket):
            protocol.direct = Direct(protocol.write)
            scope["extensions"] = {**scope.get("extensions", {}), DIRECT: protocol.direct}
        return super().create_application(protocol, scope)

    def listen_error(self, failure: object) -> None:
        self.failed = True
        super().listen_error(failure)


def run(host: str, port: int) -> int:
    """Serves until told to stop. Returns the exit status."""
    from playground.asgi import application
    from playground.rooms.consumers import close_all
    from playground.rooms.history import warm

    logging.getLogger("daphne.server").setLevel(logging.ERROR)
    server = MailroomServer(
        application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        http_timeout=HTTP_TIMEOUT_S,
        websocket_max_message_size=SOCKET_MESSAGE_BYTES_MAX,
        websocket_max_frame_size=SOCKET_MESSAGE_BYTES_MAX,
        websocket_timeout=-1,
        server_name="mailroom",
        verbosity=0,
    )
    _before_shutdown(close_all)
    warm()
    server.run()
    return 1 if server.failed else 0


def _before_shutdown(act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Daphne has no lifespan; its reactor says when it is about to stop, and waits for `act`."""
    from twisted.internet import defer, reactor

    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: defer.Deferred.fromFuture(asyncio.ensure_future(act()))
    )
