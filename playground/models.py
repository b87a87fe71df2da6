"""What is stored of rooms. `playground/rooms/database.py` reads and writes it, nothing else does.

Times are µs; clocks, pieces and commands are msgspec's bytes. Rows of a room are written under its lock.
"""

from __future__ import annotations

from django.db import models


class Room(models.Model):
    """One room: its facts, and where it stands after the last transaction."""

    code = models.CharField(max_length=16, primary_key=True)
    slug = models.CharField(max_length=80)
    seed = models.BigIntegerField()
    rules = models.IntegerField()
    owner = models.CharField(max_length=64)
    opened_id = models.CharField(max_length=40)
    length_us = models.BigIntegerField()
    clock = models.BinaryField()
    epoch = models.IntegerField(default=0)
    seq = models.BigIntegerField(default=0)
    n = models.BigIntegerField(default=0)
    commands = models.IntegerField(default=0)
    lit_until_us = models.BigIntegerField(db_index=True)
    shown_us = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "opened_id"], name="room_opened_once")]

    def __str__(self) -> str:
        return self.code


class OfRoom(models.Model):
    """A row that belongs to a room and goes with it."""

    room = models.ForeignKey(Room, models.CASCADE)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.room_id}/{self.pk}"


class Branch(OfRoom):
    """A branch: its parent's entries up to (`sim_us`, `parent_seq`), then its own."""

    epoch = models.IntegerField()
    parent = models.IntegerField(null=True)
    sim_us = models.BigIntegerField()
    parent_seq = models.BigIntegerField()
    seed = models.BigIntegerField()
    name = models.CharField(max_length=60)
    shown_us = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "epoch"], name="branch_once")]


class Entry(OfRoom):
    """A simulation entry, made in branch `epoch`."""

    seq = models.BigIntegerField()
    n = models.BigIntegerField()
    at_us = models.BigIntegerField()
    epoch = models.IntegerField()
    command = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["room", "seq"], name="entry_seq_once"),
            models.UniqueConstraint(fields=["room", "n"], name="entry_n_once"),
        ]


class ClockEntry(OfRoom):
    """A piece of the room's clock; several may come at once, when the wall clock was set."""

    seq = models.BigIntegerField()
    piece = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["room", "seq"], name="clock_entry_seq")]


class Receipt(OfRoom):
    """What a command was answered, once for each (seat, id)."""

    seat = models.CharField(max_length=64)
    asked_id = models.CharField(max_length=40)
    seq = models.BigIntegerField()
    n = models.BigIntegerField(null=True)
    at_us = models.BigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "seat", "asked_id"], name="done_once")]


class TickDigest(OfRoom):
    """The digest of each 200th tick behind the highest moment shown, written by the first replica there."""

    epoch = models.IntegerField()
    tick = models.IntegerField()
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "epoch", "tick"], name="digest_once")]
