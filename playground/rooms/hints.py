"""Hints between the processes of a site: "room X has something new", through Redis publish/subscribe.

A hint only makes a process read sooner: with every hint lost nothing is wrong, so nothing waits for one.
When Redis is gone that is told, rooms go on by reading each batch, and a new connection is tried each second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

CHANNEL = "mailroom:rooms"
AGAIN_S = 1.0
"""Between two tries to connect: level again well within 3 s."""

ANSWER_S = 2.0
"""Redis answers in this time, or it is gone."""

WAITING_MAX = 1_000
"""Hints that wait to be sent; more are dropped, as each process reads by itself anyway."""


class RedisHints:
    """`heard(code)` is called for what other processes (and this one) have said, `there(bool)` when Redis
    comes and goes."""

    def __init__(self, url: str, heard: Callable[[str], None], there: Callable[[bool], None]) -> None:
        self.url = url
        self.heard = heard
        self.there = there
        self.waiting: asyncio.Queue[str] = asyncio.Queue(WAITING_MAX)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, if it has not begun."""
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._run())

    def send(self, code: str) -> None:
        """Tells the others about `code`, soon."""
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(code)

    async def _run(self) -> None:
        while True:
            redis = Redis.from_url(
                self.url, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S, decode_responses=True
            )
            with contextlib.suppress(RedisError, OSError, asyncio.TimeoutError):
                async with redis:
                    await asyncio.wait_for(redis.ping(), ANSWER_S)
                    self.there(True)
                    await self._until_it_fails(redis)
            self.there(False)
            await asyncio.sleep(AGAIN_S)

    async def _until_it_fails(self, redis: Redis) -> None:
        parts = [asyncio.create_task(part(redis)) for part in (self._listen, self._speak)]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _listen(self, redis: Redis) -> None:
        async with redis.pubsub() as channel:
            await channel.subscribe(CHANNEL)
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=AGAIN_S)
                if message is not None:
                    self.heard(str(message["data"]))

    async def _speak(self, redis: Redis) -> None:
        """Sends what waits; where nothing does, asks each second whether Redis is still there."""
        while True:
            try:
                code = await asyncio.wait_for(self.waiting.get(), AGAIN_S)
            except TimeoutError:
                await asyncio.wait_for(redis.ping(), ANSWER_S)
            else:
                await asyncio.wait_for(redis.publish(CHANNEL, code), ANSWER_S)

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
