"""Opening a room: the first command on a recording, as `POST /room/open/` brings it (docs/protocol.md)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from engine.commands import AnyCommand
from engine.commands import decode as decode_command
from engine.errors import CommandError
from lessons.scenarios import library
from playground.rooms import limits
from playground.rooms.clock import RATES
from playground.rooms.hub import Hub
from playground.rooms.journal import Asked, Facts, First, NewRoom, Refused
from playground.rooms.live import sentence
from playground.rooms.throttle import Bucket
from playground.rooms.wire import Arguments, Id, Whole, Word
from playground.seats import owner_hash, seat_in


def made_up_id() -> str:
    """For those who bring none: their asking is like no other."""
    return secrets.token_urlsafe(12)


class Opening(Struct, frozen=True, forbid_unknown_fields=True):
    """What is posted. `rate` is the browser's own speed then, in thousandths: 0 when it stands.

    Without `cmd` the room is only opened. `id` names this asking: sent again, it opens nothing more.
    """

    slug: Annotated[str, Meta(min_length=1, max_length=80)]
    now_us: Whole = 0
    seed: Whole | None = None
    rate: int = 1000
    id: Id = msgspec.field(default_factory=made_up_id)
    cmd: Word | None = None
    args: Arguments = {}


everybody = Bucket(limits.OPEN_BURST, limits.OPEN_PER_S)


def read_opening(body: bytes, form: dict[str, str] | None) -> Opening:
    """The posted JSON, or the fields of a form (`args` as JSON text). Raises `Refused`."""
    if len(body) > limits.OPEN_BODY_BYTES_MAX:
        raise Refused("bad_frame", limits.OPEN_BODY_TOO_LARGE)
    try:
        if form is None:
            opening = msgspec.json.decode(body, type=Opening)
        else:
            fields: dict[str, Any] = {name: text for name, text in form.items() if text}
            if "args" in fields:
                fields["args"] = json.loads(fields["args"])
            opening = msgspec.convert(fields, Opening, strict=False)
        msgspec.json.encode(opening)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Refused("bad_frame", f"A room cannot be opened with this: {_first_line(error)}.") from None
    if opening.rate not in (0, *RATES):
        raise Refused("bad_arguments", "A room goes at one of the speeds there are, or stands.")
    return opening


async def open_room(
    hub: Hub, opening: Opening, token: str, past: Sequence[tuple[int, AnyCommand]] = ()
) -> tuple[Facts, bool]:
    """A new room of `token`'s browser, with the first command in its journal, and whether it is new: the
    same `id` from the same browser gets the same room. Raises `Refused`."""
    shipped = library().get(opening.slug)
    if shipped is None:
        raise Refused("no_room", "There is no scenario with this name.")
    scenario = shipped.scenario
    command = None
    if opening.cmd is not None:
        try:
            said = decode_command(opening.cmd, dict(opening.args))
            command = First(said, lambda code: seat_in(token, code))
        except CommandError as problem:
            raise Refused("bad_arguments", sentence(str(problem))) from None
    if opening.now_us >= scenario.length_us and command is not None:
        raise Refused("run_over", "The run is over: act earlier or start anew.")
    if not everybody.take(hub.wall()):
        raise Refused("too_fast", limits.OPENED_TOO_FAST)
    seed = scenario.seed if opening.seed is None else opening.seed
    new = NewRoom(
        opening.slug,
        seed,
        hub.rules,
        owner_hash(token),
        scenario.length_us,
        opening.now_us,
        opening.rate,
        past,
    )
    return await hub.journal.open(new, Asked(new.owner, opening.id, rules=hub.rules), command)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
