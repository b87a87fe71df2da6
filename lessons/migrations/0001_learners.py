"""The tables of learners."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Learner",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Device",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("token_hash", models.CharField(max_length=64, unique=True)),
                (
                    "learner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="lessons.learner"),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="CarryLink",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("token_hash", models.CharField(max_length=64, unique=True)),
                ("made_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "learner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="lessons.learner"),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("client_key", models.CharField(max_length=40)),
                ("item", models.CharField(max_length=60)),
                ("seed", models.BigIntegerField()),
                ("revision", models.CharField(max_length=16)),
                ("rules", models.IntegerField()),
                ("answer", models.JSONField()),
                ("correct", models.BooleanField()),
                ("credit", models.FloatField()),
                ("confidence", models.SmallIntegerField(null=True)),
                ("at", models.DateTimeField()),
                (
                    "learner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="lessons.learner"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["learner", "item"], name="attempts_of_item")],
                "constraints": [
                    models.UniqueConstraint(fields=("learner", "client_key"), name="answered_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Prediction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("lesson", models.CharField(max_length=60)),
                ("revision", models.CharField(max_length=16)),
                ("option", models.CharField(max_length=16)),
                ("correct", models.BooleanField()),
                ("confidence", models.SmallIntegerField(null=True)),
                ("at", models.DateTimeField()),
                (
                    "learner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="lessons.learner"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("learner", "lesson"), name="predicted_once")],
            },
        ),
        migrations.CreateModel(
            name="Progress",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("lesson", models.CharField(max_length=60)),
                ("stop", models.SmallIntegerField(default=-1)),
                ("observed", models.JSONField(default=list)),
                ("explained", models.BooleanField(default=False)),
                ("hints", models.SmallIntegerField(default=0)),
                ("goal_commands", models.SmallIntegerField(null=True)),
                ("goal_at", models.DateTimeField(null=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "learner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="lessons.learner"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("learner", "lesson"), name="lesson_once")],
            },
        ),
        migrations.CreateModel(
            name="ReviewCard",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("concept", models.CharField(max_length=60)),
                ("card", models.JSONField()),
                ("due", models.DateTimeField()),
                (
                    "learner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="lessons.learner"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("learner", "concept"), name="card_once")],
            },
        ),
    ]
