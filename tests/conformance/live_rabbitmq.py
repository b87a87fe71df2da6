"""A real RabbitMQ node for differential tests, and a player of the cases' vocabulary on it.

`Node` starts a broker of its own (own name, ports on 127.0.0.1, own data folder) and stops it.
`LivePlayer` plays the steps of a case over AMQP 0-9-1, one connection a channel, and tells what a
client saw in the form in which the conformance runner tells it. The wire is spoken frame by frame
with pika's codec: pika's own client would cancel before it closes and nack what it has not handed on.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from pika import frame, spec

from engine.conformance.rabbitmq import RabbitMQPlayer
from engine.rabbitmq import operations as ops

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
STATS = r"""
-module(stats).
-export([main/1]).

main([Node]) -> loop(list_to_atom(Node)).

loop(N) ->
    case io:get_line("") of
        eof -> halt(0);
        Line -> io:format("~s~n", [answer(N, string:trim(Line))]), loop(N)
    end.

answer(N, Name) ->
    R = {resource, <<"/">>, queue, list_to_binary(Name)},
    case rpc:call(N, rabbit_amqqueue, lookup, [R]) of
        {ok, Q} -> counts(N, Q, rpc:call(N, amqqueue, get_type, [Q]));
        _ -> "none"
    end.

counts(N, Q, rabbit_quorum_queue) ->
    Pid = rpc:call(N, amqqueue, get_pid, [Q]),
    Ready = ask(N, Pid, fun rabbit_fifo:query_messages_ready/1),
    Out = ask(N, Pid, fun rabbit_fifo:query_messages_checked_out/1),
    Consumers = ask(N, Pid, fun rabbit_fifo:query_consumer_count/1),
    {Dlx, _} = ask(N, Pid, fun rabbit_fifo:query_stat_dlx/1),
    io_lib:format("~b ~b ~b ~b", [Ready, Out, Consumers, Dlx]);
counts(N, Q, _) ->
    case rpc:call(N, rabbit_amqqueue, info, [Q, [messages_ready, messages_unacknowledged, consumers]]) of
        [{_, Ready}, {_, Out}, {_, Consumers}] -> io_lib:format("~b ~b ~b 0", [Ready, Out, Consumers]);
        _ -> "none"
    end.

ask(N, Pid, Fun) ->
    {ok, {_, Value}, _} = rpc:call(N, ra, local_query, [Pid, Fun]),
    Value.
"""
CONFIG = """[{rabbit, [{quorum_tick_interval, 300}, {log, [{console, [{enabled, false}]}]}]}]."""
START_S = 60.0
CLOSES = (spec.Channel.Close, spec.Connection.Close)


def available() -> bool:
    """Whether this machine has a rabbitmq-server that a test may start."""
    return Path(SERVER).exists() and shutil.which("erlc") is not None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """One broker node; `port` speaks AMQP. Its folder and its processes go with `stop`."""

    def __init__(self) -> None:
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="mailroom-rabbitmq-", dir=base))
        self.port = free_port()
        self.name = f"mailroom{self.port}@localhost"
        (self.folder / "advanced.config").write_text(CONFIG)
        (self.folder / "enabled_plugins").write_text("[].")
        epmd_port = free_port()
        self.environment = {
            **os.environ,
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self.version = ""
        self.processes: list[subprocess.Popen[str]] = []
        self._start(["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"])
        time.sleep(0.3)
        self._start([SERVER])
        try:
            self._wait()
            self._start_stats()
        except BaseException:
            self.stop()
            raise

    def _start(self, command: list[str], **how: Any) -> subprocess.Popen[str]:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **how}
        process = subprocess.Popen(command, env=self.environment, text=True, **quiet)
        self.processes.append(process)
        return process

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                wire = Wire(self.port)
                self.version = wire.version
                wire.close()
                return
            except OSError:
                time.sleep(0.3)
        raise RuntimeError("the rabbitmq node did not start")

    def _start_stats(self) -> None:
        (self.folder / "stats.erl").write_text(STATS)
        subprocess.run(["erlc", "stats.erl"], cwd=self.folder, check=True, env=self.environment)
        self.stats_process = self._start(
            ["erl", "-noshell", "-sname", f"stats{self.port}@localhost", "-hidden",
             "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
             "-pa", str(self.folder), "-run", "stats", "main", self.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def stats(self, queue: str) -> dict[str, int] | None:
        """Counts of one queue as the node itself has them now."""
        assert self.stats_process.stdin is not None
        assert self.stats_process.stdout is not None
        self.stats_process.stdin.write(queue + "\n")
        self.stats_process.stdin.flush()
        answer = self.stats_process.stdout.readline().strip()
        if answer == "none":
            return None
        ready, unacked, consumers, dying = (int(word) for word in answer.split())
        told = {"ready": ready, "unacked": unacked, "consumers": consumers}
        return {**told, "dead_lettering": dying} if dying else told

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Wire:
    """One connection with one channel, frame by frame. `arrived` are methods with their contents."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.arrived: list[tuple[Any, Any, bytes]] = []
        self.partial: list[Any] = []
        self.channel_open = False
        self.connection_open = True
        self.socket.sendall(frame.ProtocolHeader().marshal())
        start = self.expect(spec.Connection.Start)
        version = start.server_properties.get("version", "")
        self.version = version.decode() if isinstance(version, bytes) else str(version)
        capabilities = {"capabilities": {"consumer_cancel_notify": True, "publisher_confirms": True,
                                         "basic.nack": True}}  # fmt: skip
        self.send(spec.Connection.StartOk(capabilities, "PLAIN", "\0guest\0guest", "en_US"), channel=0)
        tune = self.expect(spec.Connection.Tune)
        self.frame_bytes_max = tune.frame_max
        self.send(spec.Connection.TuneOk(tune.channel_max, tune.frame_max, 0), channel=0)
        self.send(spec.Connection.Open("/"), channel=0)
        self.expect(spec.Connection.OpenOk)

    def open_channel(self) -> None:
        self.send(spec.Channel.Open())
        self.expect(spec.Channel.OpenOk)
        self.channel_open = True

    def send(self, method: Any, channel: int = 1) -> None:
        self.socket.sendall(frame.Method(channel, method).marshal())

    def send_content(self, method: Any, properties: Any, body: bytes) -> None:
        parts = [frame.Method(1, method).marshal(), frame.Header(1, len(body), properties).marshal()]
        most = self.frame_bytes_max - 8
        parts += [frame.Body(1, body[at : at + most]).marshal() for at in range(0, len(body), most)]
        self.socket.sendall(b"".join(parts))

    def read(self, wait_s: float) -> bool:
        """Read what is there, waiting at most `wait_s` for the first byte. Whether anything came."""
        if not select.select([self.socket], [], [], wait_s)[0]:
            return False
        data = self.socket.recv(1 << 20)
        if not data:
            self.connection_open = self.channel_open = False
            return False
        self.buffer += data
        while True:
            used, got = frame.decode_frame(self.buffer)
            if not used:
                return True
            self.buffer = self.buffer[used:]
            self._take(got)

    def _take(self, got: Any) -> None:
        if isinstance(got, frame.Method):
            method = got.method
            if isinstance(method, (spec.Basic.Deliver, spec.Basic.Return, spec.Basic.GetOk)):
                self.partial = [method, None, b""]
                return
            if isinstance(method, spec.Channel.Close):
                self.channel_open = False
                self.send(spec.Channel.CloseOk())
            elif isinstance(method, spec.Connection.Close):
                self.channel_open = self.connection_open = False
                self.send(spec.Connection.CloseOk(), channel=0)
            self.arrived.append((method, None, b""))
        elif isinstance(got, frame.Header):
            self.partial[1] = got
            self._whole()
        elif isinstance(got, frame.Body):
            self.partial[2] += got.fragment
            self._whole()

    def _whole(self) -> None:
        method, header, body = self.partial
        if len(body) >= header.body_size:
            self.arrived.append((method, header.properties, body))
            self.partial = []

    def expect(self, *kinds: type[Any]) -> Any:
        """Read until a method of one of these kinds (or a close) comes; leaves everything in `arrived`."""
        seen = 0
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            while seen < len(self.arrived):
                method = self.arrived[seen][0]
                seen += 1
                if isinstance(method, (*kinds, *CLOSES)):
                    return method
            if not self.read(5) and not self.connection_open:
                break
        raise OSError(f"no {kinds} came")

    def close(self) -> None:
        self.socket.close()
        self.connection_open = self.channel_open = False


class LivePlayer(RabbitMQPlayer):
    """Plays a case on a node: the same client's memory, other hands.

    `quiet_s` is how long nothing may arrive on any connection before a step counts as over.
    """

    def __init__(self, node: Node, quiet_s: float = 0.06) -> None:
        super().__init__({"steps": []}, "3.10")
        self.node = node
        self.quiet_s = quiet_s
        self.wires: dict[str, Wire] = {}
        self.idle: list[Wire] = []
        self.queues: dict[str, None] = {}
        self.exchanges: dict[str, None] = {}
        self.published: dict[str, int] = {}

    def settle_down(self) -> None:
        """Until nothing has come for a while; then what came is sorted out."""
        last = time.monotonic()
        while time.monotonic() - last < self.quiet_s:
            wires = [wire for wire in self.wires.values() if wire.connection_open]
            if not wires:
                time.sleep(self.quiet_s / 3)
                continue
            readable = select.select([wire.socket for wire in wires], [], [], self.quiet_s)[0]
            for wire in wires:
                if wire.socket in readable and wire.read(0):
                    last = time.monotonic()
        for channel in list(self.wires):
            self._sort_out(channel)

    def _sort_out(self, channel: str) -> None:
        wire = self.wires[channel]
        arrived, wire.arrived = wire.arrived, []
        for method, properties, body in arrived:
            if isinstance(method, spec.Basic.Deliver):
                self.pushed.append((channel, self._delivery(method, properties, body, method.consumer_tag)))
            elif isinstance(method, spec.Basic.Return):
                told = ops.Return(0, _shown_body(body), method.reply_code, method.reply_text,
                                  method.exchange, method.routing_key)  # fmt: skip
                self.pushed.append((channel, told))
            elif isinstance(method, spec.Basic.Cancel):
                self.pushed.append((channel, ops.CancelledByBroker(method.consumer_tag)))
            elif isinstance(method, (spec.Basic.Ack, spec.Basic.Nack)):
                ok = isinstance(method, spec.Basic.Ack)
                self.pushed.append((channel, ops.Confirm(method.delivery_tag, 0, ok)))
            elif isinstance(method, CLOSES):
                scope = "channel" if isinstance(method, spec.Channel.Close) else "connection"
                name = method.reply_text.split(" ")[0]
                self.pushed.append((channel, ops.ChannelClosed(scope, method.reply_code, name, "")))

    def _delivery(self, method: Any, properties: Any, body: bytes, tag: str) -> ops.Delivery:
        headers = _plain(properties.headers) if properties.headers else None
        told = ops.Properties(headers, properties.priority, properties.expiration,
                              properties.delivery_mode == 2, properties.reply_to)  # fmt: skip
        return ops.Delivery(
            tag, method.delivery_tag, method.redelivered, method.exchange, method.routing_key, 0, 0, 0, 0,
            tag in self.automatic, _shown_body(body), len(body), told,
        )  # fmt: skip

    automatic: frozenset[str] = frozenset()

    def open(self, channel: str) -> None:
        wire = self.wires.get(channel)
        if wire is not None and wire.channel_open:
            return
        if wire is not None and wire.connection_open:
            wire.send(spec.Connection.Close(200, "bye", 0, 0), channel=0)
            wire.expect(spec.Connection.CloseOk)
            wire.close()
        self.openings[channel] = self.openings.get(channel, 0) + 1
        self.opened[channel] = True
        self.wires[channel] = Wire(self.node.port)
        self.wires[channel].open_channel()

    def say(self, channel: str, operation: Any) -> Any:
        self.open(channel)
        wire = self.wires[channel]
        return SENDERS[type(operation)](self, channel, wire, operation)

    def play(self, step: dict[str, Any]) -> dict[str, Any]:
        self.seen = {}
        self.pushed = []
        given = {name: value for name, value in step.items() if name not in ("do", "observed")}
        getattr(self, step["do"])(given)
        self.settle_down()
        for client, push in self.pushed:
            if isinstance(push, ops.ChannelClosed):
                self.opened[client] = False
        self._look(bool(given.get("confirm")))
        return self.seen

    def wait(self, given: dict[str, Any]) -> None:
        time.sleep(given["ms"] / 1_000)

    def _stats(self, name: str) -> dict[str, Any] | None:
        return self.node.stats(name)

    def close_channel(self, given: dict[str, Any]) -> None:
        channel = str(given.get("channel", "main"))
        self.open(channel)
        self.wires[channel].send(spec.Channel.Close(200, "bye", 0, 0))
        self.wires[channel].expect(spec.Channel.CloseOk)
        self._sort_out(channel)
        self.wires[channel].channel_open = False
        self.opened[channel] = False

    def close_connection(self, given: dict[str, Any]) -> None:
        channel = str(given.get("channel", "main"))
        self.open(channel)
        self.wires[channel].send(spec.Connection.Close(200, "bye", 0, 0), channel=0)
        self.wires[channel].expect(spec.Connection.CloseOk)
        self._sort_out(channel)
        self.wires[channel].close()
        self.opened[channel] = False

    def drop_connection(self, given: dict[str, Any]) -> None:
        channel = str(given.get("channel", "main"))
        self.open(channel)
        self.wires[channel].close()
        self.opened[channel] = False
        time.sleep(self.quiet_s)

    def clean(self) -> None:
        """Everything that this case has made goes, so that the next begins with nothing."""
        for wire in self.wires.values():
            wire.close()
        sweeper = Wire(self.node.port)
        sweeper.open_channel()
        for queue in self.queues:
            sweeper.send(spec.Queue.Delete(0, queue, False, False, False))
            sweeper.expect(spec.Queue.DeleteOk)
            sweeper.arrived = []
        for exchange in self.exchanges:
            sweeper.send(spec.Exchange.Delete(0, exchange, False, False))
            sweeper.expect(spec.Exchange.DeleteOk)
            sweeper.arrived = []
        sweeper.close()

    # -- operations on the wire -------------------------------------------------------------------

    def _ask(self, wire: Wire, method: Any, *answers: type[Any]) -> Any:
        """A method that is answered. What else comes meanwhile is left for later."""
        wire.send(method)
        answer = wire.expect(*answers)
        return ops.Closed("", 0, "", "") if isinstance(answer, CLOSES) else answer

    def _declare_exchange(self, channel: str, wire: Wire, op: ops.ExchangeDeclare) -> Any:
        if not op.exchange.startswith("amq.") and op.exchange:
            self.exchanges[op.exchange] = None
        return self._ask(wire, spec.Exchange.Declare(
            0, op.exchange, op.type, False, op.durable, op.auto_delete, op.internal, False, op.arguments,
        ), spec.Exchange.DeclareOk)  # fmt: skip

    def _declare_queue(self, channel: str, wire: Wire, op: ops.QueueDeclare) -> Any:
        self.queues[op.queue] = None
        return self._ask(wire, spec.Queue.Declare(
            0, op.queue, op.passive, op.durable, op.exclusive, op.auto_delete, False, op.arguments,
        ), spec.Queue.DeclareOk)  # fmt: skip

    def _delete_queue(self, channel: str, wire: Wire, op: ops.QueueDelete) -> Any:
        return self._ask(wire, spec.Queue.Delete(0, op.queue, False, False, False), spec.Queue.DeleteOk)

    def _delete_exchange(self, channel: str, wire: Wire, op: ops.ExchangeDelete) -> Any:
        return self._ask(wire, spec.Exchange.Delete(0, op.exchange, False, False), spec.Exchange.DeleteOk)

    def _bind_queue(self, channel: str, wire: Wire, op: ops.QueueBind) -> Any:
        method = spec.Queue.Bind(0, op.queue, op.exchange, op.routing_key, False, op.arguments)
        return self._ask(wire, method, spec.Queue.BindOk)

    def _unbind_queue(self, channel: str, wire: Wire, op: ops.QueueUnbind) -> Any:
        method = spec.Queue.Unbind(0, op.queue, op.exchange, op.routing_key, op.arguments)
        return self._ask(wire, method, spec.Queue.UnbindOk)

    def _bind_exchange(self, channel: str, wire: Wire, op: ops.ExchangeBind) -> Any:
        method = spec.Exchange.Bind(0, op.destination, op.source, op.routing_key, False, op.arguments)
        return self._ask(wire, method, spec.Exchange.BindOk)

    def _unbind_exchange(self, channel: str, wire: Wire, op: ops.ExchangeUnbind) -> Any:
        method = spec.Exchange.Unbind(0, op.destination, op.source, op.routing_key, False, op.arguments)
        return self._ask(wire, method, spec.Exchange.UnbindOk)

    def _purge(self, channel: str, wire: Wire, op: ops.QueuePurge) -> Any:
        answer = self._ask(wire, spec.Queue.Purge(0, op.queue, False), spec.Queue.PurgeOk)
        return ops.PurgeOk(answer.message_count) if isinstance(answer, spec.Queue.PurgeOk) else answer

    def _select(self, channel: str, wire: Wire, op: ops.ConfirmSelect) -> Any:
        return self._ask(wire, spec.Confirm.Select(False), spec.Confirm.SelectOk)

    def _qos(self, channel: str, wire: Wire, op: ops.BasicQos) -> Any:
        return self._ask(wire, spec.Basic.Qos(0, op.prefetch_count, op.global_), spec.Basic.QosOk)

    def _consume(self, channel: str, wire: Wire, op: ops.BasicConsume) -> Any:
        if op.no_ack:
            self.automatic = self.automatic | {op.consumer_tag}
        else:
            self.automatic = self.automatic - {op.consumer_tag}
        method = spec.Basic.Consume(
            0, op.queue, op.consumer_tag, False, op.no_ack, op.exclusive, False, op.arguments
        )
        return self._ask(wire, method, spec.Basic.ConsumeOk)

    def _cancel(self, channel: str, wire: Wire, op: ops.BasicCancel) -> Any:
        return self._ask(wire, spec.Basic.Cancel(op.consumer_tag, False), spec.Basic.CancelOk)

    def _publish_one(self, channel: str, wire: Wire, op: ops.BasicPublish) -> Any:
        told = op.properties
        properties = spec.BasicProperties(
            headers=told.headers, delivery_mode=2 if told.persistent else 1, priority=told.priority,
            expiration=told.expiration, reply_to=told.reply_to,
        )  # fmt: skip
        body = b"x" * op.size if op.body.startswith("<") else op.body.encode()
        before = len(wire.arrived)
        wire.send_content(
            spec.Basic.Publish(0, op.exchange, op.routing_key, op.mandatory, False), properties, body
        )
        while not any(
            isinstance(method, (spec.Basic.Ack, spec.Basic.Nack, *CLOSES))
            for method, _, _ in wire.arrived[before:]
        ):
            if not wire.read(10):
                break
        closed = any(isinstance(method, CLOSES) for method, _, _ in wire.arrived[before:])
        return ops.Closed("", 0, "", "") if closed else None

    def _get(self, channel: str, wire: Wire, op: ops.BasicGet) -> Any:
        answer = self._ask(
            wire, spec.Basic.Get(0, op.queue, op.no_ack), spec.Basic.GetOk, spec.Basic.GetEmpty
        )
        if isinstance(answer, spec.Basic.GetEmpty):
            return ops.GetEmpty()
        if isinstance(answer, ops.Closed):
            return answer
        for at, (method, properties, body) in enumerate(wire.arrived):
            if method is answer:
                del wire.arrived[at]
                return ops.GetOk(self._delivery(method, properties, body, ""))
        raise AssertionError("the answer has gone")

    def _ack(self, channel: str, wire: Wire, op: ops.BasicAck) -> Any:
        wire.send(spec.Basic.Ack(op.delivery_tag, op.multiple))

    def _nack(self, channel: str, wire: Wire, op: ops.BasicNack) -> Any:
        wire.send(spec.Basic.Nack(op.delivery_tag, op.multiple, op.requeue))

    def _reject(self, channel: str, wire: Wire, op: ops.BasicReject) -> Any:
        wire.send(spec.Basic.Reject(op.delivery_tag, op.requeue))

    def _recover(self, channel: str, wire: Wire, op: ops.BasicRecover) -> Any:
        return self._ask(wire, spec.Basic.Recover(True), spec.Basic.RecoverOk)


SENDERS: dict[type[Any], Any] = {
    ops.ExchangeDeclare: LivePlayer._declare_exchange,
    ops.QueueDeclare: LivePlayer._declare_queue,
    ops.QueueDelete: LivePlayer._delete_queue,
    ops.ExchangeDelete: LivePlayer._delete_exchange,
    ops.QueueBind: LivePlayer._bind_queue,
    ops.QueueUnbind: LivePlayer._unbind_queue,
    ops.ExchangeBind: LivePlayer._bind_exchange,
    ops.ExchangeUnbind: LivePlayer._unbind_exchange,
    ops.QueuePurge: LivePlayer._purge,
    ops.ConfirmSelect: LivePlayer._select,
    ops.BasicQos: LivePlayer._qos,
    ops.BasicConsume: LivePlayer._consume,
    ops.BasicCancel: LivePlayer._cancel,
    ops.BasicPublish: LivePlayer._publish_one,
    ops.BasicGet: LivePlayer._get,
    ops.BasicAck: LivePlayer._ack,
    ops.BasicNack: LivePlayer._nack,
    ops.BasicReject: LivePlayer._reject,
    ops.BasicRecover: LivePlayer._recover,
}


def _shown_body(body: bytes) -> str:
    return f"<{len(body)} bytes>" if len(body) >= 200 else body.decode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value.decode() if isinstance(value, bytes) else value
