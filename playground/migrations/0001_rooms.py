"""The tables of rooms."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Room",
            fields=[
                ("code", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("slug", models.CharField(max_length=80)),
                ("seed", models.BigIntegerField()),
                ("rules", models.IntegerField()),
                ("owner", models.CharField(max_length=64)),
                ("opened_id", models.CharField(max_length=40)),
                ("length_us", models.BigIntegerField()),
                ("clock", models.BinaryField()),
                ("epoch", models.IntegerField(default=0)),
                ("seq", models.BigIntegerField(default=0)),
                ("n", models.BigIntegerField(default=0)),
                ("commands", models.IntegerField(default=0)),
                ("lit_until_us", models.BigIntegerField(db_index=True)),
                ("shown_us", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "opened_id"), name="room_opened_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seat", models.CharField(max_length=64)),
                ("asked_id", models.CharField(max_length=40)),
                ("seq", models.BigIntegerField()),
                ("n", models.BigIntegerField(null=True)),
                ("at_us", models.BigIntegerField(null=True)),
                (
                    "room",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="playground.room"),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("room", "seat", "asked_id"), name="done_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seq", models.BigIntegerField()),
                ("n", models.BigIntegerField()),
                ("at_us", models.BigIntegerField()),
                ("epoch", models.IntegerField()),
                ("command", models.BinaryField()),
                (
                    "room",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="playground.room"),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("room", "seq"), name="entry_seq_once"),
                    models.UniqueConstraint(fields=("room", "n"), name="entry_n_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClockEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seq", models.BigIntegerField()),
                ("piece", models.BinaryField()),
                (
                    "room",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="playground.room"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["room", "seq"], name="clock_entry_seq")],
            },
        ),
        migrations.CreateModel(
            name="Branch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("epoch", models.IntegerField()),
                ("parent", models.IntegerField(null=True)),
                ("sim_us", models.BigIntegerField()),
                ("parent_seq", models.BigIntegerField()),
                ("seed", models.BigIntegerField()),
                ("name", models.CharField(max_length=60)),
                ("shown_us", models.BigIntegerField(default=0)),
                (
                    "room",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="playground.room"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("room", "epoch"), name="branch_once")],
            },
        ),
        migrations.CreateModel(
            name="TickDigest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("epoch", models.IntegerField()),
                ("tick", models.IntegerField()),
                ("digest", models.CharField(max_length=64)),
                (
                    "room",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="playground.room"),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("room", "epoch", "tick"), name="digest_once")
                ],
            },
        ),
    ]
