"""Random scripts in the cases' own vocabulary, each a pure function of its seed and profile.

A script is written while the model plays it, so that it can settle deliveries that exist. What the
model saw stands in it as `observed`: played on a real node, every difference is the model's fault
(or one of the few races that `steps` keeps away from).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from engine.conformance.rabbitmq import RabbitMQPlayer
from engine.rabbitmq.classic import ClassicQueue

Step = dict[str, Any]
PROFILES = (
    "classic", "priority", "quorum", "quorum_limit", "full", "dead", "single_active", "shared_limit",
    "routing", "headers", "errors", "arguments", "expiry", "quorum_expiry", "mixed_channel",
    "at_least_once",
)  # fmt: skip


class Writer:
    """Chooses the next step from what the script has made so far."""

    def __init__(self, seed: int, profile: str, version: str = "3.10") -> None:
        self.random = Random(f"{profile}/{seed}")
        self.profile = profile
        self.version = version
        self.player = RabbitMQPlayer({"steps": []}, version)
        self.steps: list[Step] = []
        self.queues: list[str] = []
        self.exchanges: list[str] = []
        self.names = 0
        self.bodies = 0
        self.consumers: dict[str, str] = {}
        self.automatic: set[str] = set()

    def do(self, action: str, **given: Any) -> None:
        step = {"do": action, **given}
        step["observed"] = self.player.play(dict(step))
        self.steps.append(step)
        for error in step["observed"].get("errors", []):
            self._forget(error["channel"])
        for name in step["observed"].get("cancelled", []):
            self.consumers.pop(name, None)

    def _forget(self, channel: str) -> None:
        self.consumers = {name: on for name, on in self.consumers.items() if on != channel}

    def body(self) -> str:
        self.bodies += 1
        return f"m{self.bodies}"

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def one(self, of: Any) -> Any:
        return self.random.choice(list(of))

    # -- the usual steps --------------------------------------------------------------------------

    def queue(self, **arguments: Any) -> str:
        name = f"q{len(self.queues) + 1}"
        self.queues.append(name)
        self.do("declare_queue", name=name, arguments={k.replace("_", "-"): v for k, v in arguments.items()})
        return name

    def publish(self, **more: Any) -> None:
        bodies = [self.body() for _ in range(self.random.randint(1, 4))]
        given: dict[str, Any] = {"routing_key": self.one(self.queues), "bodies": bodies, **more}
        if self.chance(0.3):
            given["confirm"] = True
        if self.chance(0.15):
            given["channel"] = "pub2"
        self.do("publish", **given)

    def consume(self, channels: int = 3, **more: Any) -> None:
        self.names += 1
        name = f"c{self.names}"
        channel = f"ch{self.random.randint(1, channels)}"
        given: dict[str, Any] = {"consumer": name, "queue": self.one(self.queues), "channel": channel, **more}
        if "prefetch" not in given and self.chance(0.8):
            given["prefetch"] = self.random.randint(1, 3)
        if self.chance(0.12):
            given["auto_ack"] = True
            self.automatic.add(name)
        if self.chance(0.15):
            given["priority"] = self.random.randint(-1, 2)
        self.consumers[name] = channel
        self.do("consume", **given)

    def get(self) -> None:
        given: dict[str, Any] = {"queue": self.one(self.queues), "channel": f"g{self.random.randint(1, 2)}"}
        if self.chance(0.25):
            given["auto_ack"] = True
        self.do("get", **given)

    def held(self) -> list[dict[str, Any]]:
        """Targets of acknowledgements that exist now."""
        found: list[dict[str, Any]] = []
        for name, known in self.player.deliveries.items():
            if name in self.automatic and not self.chance(0.05):
                continue
            seen: set[str] = set()
            for got in known:
                if got.settled or not self.player._open(got) or not self._outstanding(got):
                    continue
                if got.body not in seen:
                    seen.add(got.body)
                    found.append({"consumer": name, "body": got.body})
        for channel, known in self.player.gets.items():
            for got in known:
                if not got.settled and self.player._open(got) and self._outstanding(got):
                    found.append({"channel": channel, "body": got.body})
        return found

    def _outstanding(self, got: Any) -> bool:
        """Whether the tag may still be settled (mostly; sometimes a wrong one is worth trying)."""
        return got.tag in self.player.broker.channels[got.channel].pendings or self.chance(0.05)

    def settle(self, requeue: float = 0.5) -> None:
        held = self.held()
        if not held:
            return
        target = self.one(held)
        action = self.one(["ack", "ack", "nack", "nack", "reject"])
        given = dict(target)
        if action != "reject" and self.chance(0.25):
            given["multiple"] = True
        if action != "ack":
            given["requeue"] = self.chance(requeue)
        self.do(action, **given)

    def close(self) -> None:
        open_now = [name for name, is_open in self.player.opened.items() if is_open and name != "main"]
        if not open_now:
            return
        channel = self.one(open_now)
        self.do(self.one(["close_channel", "close_connection", "drop_connection"]), channel=channel)
        self._forget(channel)

    def cancel(self) -> None:
        usable = [name for name in self.consumers if self._may_cancel(name)]
        if usable:
            name = self.one(usable)
            self.do("cancel", consumer=name)
            self.consumers.pop(name, None)

    def _may_cancel(self, name: str) -> bool:
        """3.10's classic single-active queue dies of a publish after a cancel while messages wait."""
        del name
        return not any(
            isinstance(queue, ClassicQueue) and queue.single_active and queue.ready.count
            for queue in self.player.broker.queues.values()
        )

    def recover(self) -> None:
        open_now = [
            name for name, is_open in self.player.opened.items() if is_open and name.startswith(("ch", "g"))
        ]
        if open_now:
            self.do("recover", channel=self.one(open_now))

    def purge(self) -> None:
        self.do("purge", queue=self.one(self.queues))

    def stats(self) -> None:
        self.do("stats", queues=list(self.queues))

    def usual(self, weights: dict[str, int]) -> None:
        """One step, chosen by weight."""
        name = self.random.choices(list(weights), list(weights.values()))[0]
        step: Callable[[], None] = getattr(self, name)
        step()

    # -- profiles ---------------------------------------------------------------------------------

    def classic(self) -> None:
        for _ in range(self.random.randint(1, 2)):
            self.queue()
        self._play(24)

    def priority(self) -> None:
        self.queue(x_max_priority=self.random.randint(0, 4))
        if self.chance(0.3):
            self.queue(x_max_priority=3, x_max_length=3)
        for _ in range(22):
            if self.chance(0.35):
                self.publish(priority=self.random.randint(0, 5))
            else:
                self.usual(
                    {"publish": 2, "consume": 2, "get": 3, "settle": 8, "close": 1, "stats": 1, "recover": 1}
                )
        self.stats()

    def quorum(self) -> None:
        for _ in range(self.random.randint(1, 2)):
            self.queue(x_queue_type="quorum")
        self._play(22)

    def quorum_limit(self) -> None:
        self.queues.append("dead")
        self.do("declare_queue", name="dead", arguments=self.one([{}, {"x-queue-type": "quorum"}]))
        self.queues.clear()
        arguments: dict[str, Any] = {"x_queue_type": "quorum", "x_delivery_limit": self.random.randint(0, 3)}
        if self.chance(0.7):
            arguments |= {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "dead"}
        if self.chance(0.2):
            arguments["x_delivery_limit"] = self.one([-1, "many"])
        self.queue(**arguments)
        self._play(22, requeue=0.85)
        self.queues.append("dead")
        self.do("consume", consumer="z", queue="dead", channel="zz", prefetch=20)
        self.stats()

    def full(self) -> None:
        self.do("declare_queue", name="dead")
        for _ in range(self.random.randint(1, 2)):
            arguments: dict[str, Any] = {"x_max_length": self.random.randint(0, 5)}
            if self.chance(0.3):
                arguments["x_max_length_bytes"] = self.random.randint(2, 12)
            if self.chance(0.5):
                arguments["x_overflow"] = self.one(["drop-head", "reject-publish", "reject-publish-dlx"])
            if self.chance(0.5):
                arguments["x_queue_type"] = "quorum"
            if self.chance(0.6):
                arguments |= {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "dead"}
            self.queue(**arguments)
        self._play(24, publish=9)
        self.queues.append("dead")
        self.do("consume", consumer="z", queue="dead", channel="zz", prefetch=30)
        self.stats()

    def dead(self) -> None:
        """A few queues that send their dead letters to each other, by an exchange or by name."""
        count = self.random.randint(2, 3)
        self.do("declare_exchange", name="dx", type=self.one(["fanout", "direct", "topic"]))
        self.exchanges.append("dx")
        for number in range(1, count + 1):
            arguments: dict[str, Any] = {}
            if self.chance(0.8):
                arguments["x_dead_letter_exchange"] = self.one(["", "", "dx", "none"])
                if self.chance(0.75):
                    arguments["x_dead_letter_routing_key"] = f"q{self.random.randint(1, count)}"
            if self.chance(0.4):
                arguments["x_queue_type"] = "quorum"
            if self.chance(0.25):
                arguments["x_max_length"] = self.random.randint(1, 2)
            self.queue(**arguments)
            if self.chance(0.6):
                key = self.one(["q1", "q2", "#", "*"])
                self.do("bind", queue=f"q{number}", exchange="dx", routing_key=key)
        for _ in range(24):
            if self.chance(0.2):
                more: dict[str, Any] = {"headers": {"n": self.random.randint(1, 3)}}
                if self.chance(0.5):
                    more["cc"] = [self.one(["q1", "q2", "none"])]
                if self.chance(0.3):
                    more["headers"]["x-death"] = [
                        {"queue": self.one(["q1", "q2"]), "reason": self.one(["rejected", "expired"]),
                         "count": 2, "exchange": "", "routing-keys": ["q1"]}
                        for _ in range(self.random.randint(1, 2))
                    ]  # fmt: skip
                self.publish(**more)
            else:
                self.usual({"publish": 3, "consume": 3, "get": 2, "turn": 7, "close": 1, "stats": 1})
        self.stats()

    def turn(self) -> None:
        self.settle(requeue=0.2)

    def single_active(self) -> None:
        arguments: dict[str, Any] = {"x_single_active_consumer": True}
        if self.chance(0.6):
            arguments["x_queue_type"] = "quorum"
            if self.chance(0.5):
                arguments["x_delivery_limit"] = 2
        self.queue(**arguments)
        for _ in range(24):
            self.usual(
                {"publish": 5, "consume": 4, "settle": 8, "close": 1, "cancel": 2, "stats": 1, "get": 1}
            )
        self.stats()

    def shared_limit(self) -> None:
        self.queue()
        for _ in range(24):
            if self.chance(0.15):
                self.do("qos", channel=f"ch{self.random.randint(1, 2)}", prefetch=self.random.randint(0, 3),
                        **{"global": self.chance(0.8)})  # fmt: skip
            elif self.chance(0.2):
                self.consume(2, prefetch=self.random.randint(0, 2))
            else:
                self.names += 1
                if self.chance(0.2):
                    channel = f"ch{self.random.randint(1, 2)}"
                    self.consumers[f"c{self.names}"] = channel
                    self.do("consume", consumer=f"c{self.names}", queue="q1", channel=channel)
                else:
                    self.usual({"publish": 4, "settle": 8, "close": 1, "cancel": 1, "stats": 1})
        self.stats()

    def routing(self) -> None:
        keys = ["a", "b", "a.b", "a.b.c", "", ".", "a..b", "*", "#", "x.a"]
        patterns = [*keys, "a.*", "*.b", "a.#", "#.b", "#.a.#", "*.*", "a.*.c", "#.#", "*.#"]
        for name in ("x1", "x2", "x3"):
            arguments: dict[str, Any] = {}
            if self.chance(0.35):
                arguments["alternate-exchange"] = self.one(["x1", "x2", "x3", "none", "", "amq.fanout"])
            kind = self.one(["topic", "topic", "direct", "fanout"])
            self.do("declare_exchange", name=name, type=kind, arguments=arguments,
                    auto_delete=self.chance(0.2), internal=self.chance(0.1))  # fmt: skip
            self.exchanges.append(name)
        for _ in range(3):
            self.queue()
        for _ in range(26):
            source, key = self.one(self.exchanges), self.one(patterns)
            if self.chance(0.3):
                self.do("bind", queue=self.one(self.queues), exchange=source, routing_key=key)
            elif self.chance(0.2):
                self.do("bind", to_exchange=self.one(self.exchanges), exchange=source, routing_key=key)
            elif self.chance(0.12):
                self.do("unbind", queue=self.one(self.queues), exchange=source, routing_key=key)
            elif self.chance(0.05):
                self.do("delete_exchange", name=source)
            elif self.chance(0.05):
                self.do("delete_queue", name=self.one(self.queues))
            elif self.chance(0.1):
                self.do("declare_queue", name=self.one(self.queues))
            elif self.chance(0.15):
                self.stats()
            else:
                more: dict[str, Any] = {"mandatory": self.chance(0.5), "confirm": self.chance(0.3)}
                if self.chance(0.2):
                    more["cc"] = [self.one(keys) for _ in range(self.random.randint(1, 2))]
                if self.chance(0.1):
                    more["headers"] = {"BCC": [self.one(keys)]}
                self.do("publish", exchange=self.one([*self.exchanges, ""]),
                        routing_key=self.one([*keys, "q1"]), body=self.body(), **more)  # fmt: skip
        for queue in self.queues:
            self.do("get", queue=queue, channel="gg", auto_ack=True)
        self.stats()

    def headers(self) -> None:
        values: list[Any] = [1, 2, "1", True, None, "s", ["l", 1], {"k": 1}, -5, 3_000_000_000]
        names = ["a", "b", "x-c", "d"]
        self.do("declare_exchange", name="h", type="headers")
        for _ in range(4):
            queue = self.queue()
            arguments = {self.one(names): self.one(values) for _ in range(self.random.randint(0, 3))}
            if self.chance(0.8):
                arguments["x-match"] = self.one(["all", "any", "all-with-x", "any-with-x", "some", 1])
            self.do("bind", queue=queue, exchange="h", arguments=arguments)
        for _ in range(10):
            told = {self.one(names): self.one(values) for _ in range(self.random.randint(0, 4))}
            self.do("publish", exchange="h", body=self.body(), headers=told)
        self.stats()
        for queue in self.queues:
            self.do("get", queue=queue, channel="gg", auto_ack=True)

    def errors(self) -> None:
        """Anything with anything: missing names, wrong tags, other people's queues."""
        queues = ["q1", "q2", "own", "amq.q", "nope"]
        exchanges = ["", "x", "amq.direct", "amq.mine", "nope", "in"]
        channels = ["main", "a", "b"]
        self.do("declare_exchange", name="in", internal=True)
        for _ in range(26):
            channel, queue, exchange = self.one(channels), self.one(queues), self.one(exchanges)
            choice = self.random.randrange(16)
            if choice < 3:
                self.do("declare_queue", name=queue, channel=channel, durable=self.chance(0.8),
                        exclusive=queue == "own" or self.chance(0.1), auto_delete=self.chance(0.15),
                        passive=self.chance(0.2))  # fmt: skip
            elif choice == 3:
                self.do("declare_exchange", name=exchange, channel=channel,
                        type=self.one(["direct", "fanout", "odd"]), durable=self.chance(0.8),
                        auto_delete=self.chance(0.2))  # fmt: skip
            elif choice == 4:
                self.do("bind", queue=queue, exchange=exchange, routing_key="k", channel=channel)
            elif choice == 5:
                self.do("unbind", queue=queue, exchange=exchange, routing_key="k", channel=channel)
            elif choice == 6:
                self.do("bind", to_exchange=exchange, exchange=self.one(exchanges), channel=channel)
            elif choice == 7:
                self.do("delete_queue", name=queue, channel=channel)
            elif choice == 8:
                self.do("delete_exchange", name=exchange, channel=channel)
            elif choice == 9:
                self.do("purge", queue=queue, channel=channel)
            elif choice == 10:
                self.do("get", queue=queue, channel=channel, auto_ack=self.chance(0.5))
            elif choice == 11:
                self.names += 1
                self.do("consume", consumer=f"c{self.names}", queue=queue, channel=channel,
                        exclusive=self.chance(0.3), auto_ack=self.chance(0.4))  # fmt: skip
            elif choice == 12:
                self.do("publish", exchange=exchange, routing_key=queue, body=self.body(), channel=channel,
                        mandatory=self.chance(0.5), confirm=True,
                        **({"expiration": self.one(["1x", "-3", "+60000", "", " 5", "99999999999999"])}
                           if self.chance(0.3) else {}),
                        **({"headers": {"CC": "q1"}} if self.chance(0.15) else {}))  # fmt: skip
            elif choice == 13:
                self.settle()
            elif choice == 14:
                self.do("stats", queues=["q1", "q2", "own"])
            else:
                self.do(self.one(["close_channel", "close_connection"]), channel=channel)
        self.queues = ["q1", "q2", "own"]
        self.stats()

    def arguments(self) -> None:
        """queue.declare with arguments of all sorts, and again with others."""
        values: list[Any] = [0, 1, 5, -1, 255, 256, "x", "", True, False, None, [1], {"a": 1},
                             "quorum", "classic", "lazy", "default", "drop-head", "reject-publish",
                             "at-least-once", 315_360_000_000, 315_360_000_001]  # fmt: skip
        names = [
            "x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-overflow",
            "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-max-priority",
            "x-single-active-consumer", "x-delivery-limit", "x-dead-letter-strategy", "x-queue-mode",
            "x-queue-version", "x-consumer-timeout", "x-colour", "x-max-in-memory-length", "x-max-age",
            "x-queue-leader-locator", "x-queue-master-locator", "x-quorum-initial-group-size",
            "x-initial-cluster-size", "x-stream-max-segment-size-bytes",
        ]  # fmt: skip
        for number in range(16):
            told = {self.one(names): self.one(values) for _ in range(self.random.randint(1, 2))}
            if type(told.get("x-expires")) is int and 0 < told["x-expires"] < 60_000:
                told["x-expires"] = 60_000
            if self.chance(0.4):
                told["x-queue-type"] = self.one(["quorum", "quorum", "classic"])
            name = f"q{number}"
            self.do("declare_queue", name=name, arguments=told)
            if "errors" not in self.steps[-1]["observed"]:
                self.queues.append(name)
                if self.chance(0.6):
                    again = dict(told)
                    if self.chance(0.6):
                        again[self.one(names)] = self.one(values)
                    if self.chance(0.2):
                        again.pop(self.one(again))
                    self.do("declare_queue", name=name, arguments=again)
        if self.queues:
            self.stats()
            for number in range(4):
                told = {self.one(["x-priority", "x-consumer-timeout", "x-colour"]): self.one(values)}
                self.do("consume", consumer=f"c{number}", queue=self.one(self.queues), channel=f"ch{number}",
                        arguments=told)  # fmt: skip

    def expiry(self) -> None:
        self._expiry({})

    def quorum_expiry(self) -> None:
        self._expiry({"x_queue_type": "quorum"})

    def _expiry(self, kind: dict[str, Any]) -> None:
        """Short scripts with pauses: what has a time has it well before or well after each pause's end."""
        self.do("declare_queue", name="dead")
        arguments = dict(kind)
        if self.chance(0.4):
            arguments["x_message_ttl"] = self.one([1500, 60_000])
        if self.chance(0.6):
            arguments |= {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "dead"}
        if not kind and self.chance(0.4):
            arguments["x_max_priority"] = 3
        if kind and self.chance(0.5):
            arguments["x_delivery_limit"] = 5
        self.queue(**arguments)
        for _ in range(2):
            for _ in range(self.random.randint(2, 4)):
                more: dict[str, Any] = {}
                if self.chance(0.7):
                    more["expiration"] = self.one(
                        ["1500", "60000", "1500"] if kind else ["1500", "60000", "0"]
                    )
                if self.chance(0.4):
                    more["priority"] = self.random.randint(0, 3)
                if self.chance(0.7):
                    self.do("publish", routing_key="q1", body=self.body(), **more)
                else:
                    self.usual({"get": 2, "settle": 2, "consume": 1})
            self.do("wait", ms=2600)
            self.stats()
            self.usual({"get": 3, "settle": 3, "close": 1})
            self.stats()
        self.queues.append("dead")
        self.do("consume", consumer="z", queue="dead", channel="zz", prefetch=30)
        self.stats()

    def mixed_channel(self) -> None:
        """Several consumers and gets of several queues on one channel, settled all together."""
        for _ in range(2):
            self.queue(**self.one([{}, {"x_queue_type": "quorum"},
                                   {"x_queue_type": "quorum", "x_delivery_limit": 2}]))  # fmt: skip
        for _ in range(24):
            if self.chance(0.3):
                self.consume(1)
            elif self.chance(0.15):
                self.do("get", queue=self.one(self.queues), channel="ch1")
            elif self.chance(0.15) and self.held():
                self.do(self.one(["ack", "nack", "nack"]), channel="ch1", all=True)
            else:
                self.usual({"publish": 4, "settle": 7, "close": 1, "recover": 1, "cancel": 1, "stats": 1})
        self.stats()

    def at_least_once(self) -> None:
        self.queue(
            **self.one(
                [
                    {},
                    {"x_max_length": 1, "x_overflow": "reject-publish"},
                    {"x_queue_type": "quorum", "x_max_length": 1, "x_overflow": "reject-publish"},
                ]
            )
        )
        self.do("declare_exchange", name="dx", type="fanout")
        if self.chance(0.8):
            self.do("bind", queue="q1", exchange="dx")
        target, self.queues = self.queues[0], []
        self.names = 1
        self.queues = [target]
        self.queue(
            x_queue_type="quorum", x_overflow="reject-publish", x_dead_letter_strategy="at-least-once",
            x_dead_letter_exchange=self.one(["dx", "dx", "none"]),
            **self.one([{}, {"x_max_length": 4}, {"x_delivery_limit": 1}]),
        )  # fmt: skip
        self.queues = ["q2"]
        for _ in range(20):
            self.usual({"publish": 5, "consume": 2, "get": 1, "turn": 8, "purge": 1, "stats": 2, "close": 1})
        self.queues = ["q1", "q2"]
        self.stats()

    def _play(self, count: int, requeue: float = 0.6, publish: int = 5) -> None:
        weights = {"publish": publish, "consume": 3, "get": 2, "settle": 8, "close": 1, "cancel": 1,
                   "recover": 1, "purge": 1, "stats": 1}  # fmt: skip
        self._requeue = requeue
        for _ in range(count):
            self.usual(weights)
        self.stats()


def case(profile: str, seed: int, version: str = "3.10") -> dict[str, Any]:
    """The script of `seed` in `profile`, with the model's observations."""
    writer = Writer(seed, profile, version)
    getattr(writer, profile)()
    return {
        "system": "rabbitmq", "name": f"{profile}-{seed}", "versions": [version], "steps": writer.steps,
    }  # fmt: skip
