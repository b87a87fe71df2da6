"""What is remembered of learners. A learner is nobody by name: one or more browsers, each known by the hash
of a token in its cookie. A row exists from the first thing that a browser posts; looking at pages makes
none."""

from __future__ import annotations

from django.db import models


class Learner(models.Model):
    """Whose progress it is. Several devices share one learner once a link has been carried between them."""

    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"learner {self.pk}"


class OfLearner(models.Model):
    """A row that belongs to a learner and goes with it."""

    learner = models.ForeignKey(Learner, models.CASCADE)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.learner_id}/{self.pk}"


class Device(OfLearner):
    """A browser: the hash of the token in its cookie."""

    token_hash = models.CharField(max_length=64, unique=True)


class CarryLink(OfLearner):
    """A link that brings another device to this learner, once."""

    token_hash = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class Prediction(OfLearner):
    """What was said before the run of a lesson moved: the first counts."""

    lesson = models.CharField(max_length=60)
    revision = models.CharField(max_length=16)
    option = models.CharField(max_length=16)
    correct = models.BooleanField()
    confidence = models.SmallIntegerField(null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["learner", "lesson"], name="predicted_once")]


class Progress(OfLearner):
    """How far a lesson is: stops shown, what was observed, hints taken, the goal and with how many
    commands."""

    lesson = models.CharField(max_length=60)
    stop = models.SmallIntegerField(default=-1)
    observed = models.JSONField(default=list)
    explained = models.BooleanField(default=False)
    hints = models.SmallIntegerField(default=0)
    goal_commands = models.SmallIntegerField(null=True)
    goal_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["learner", "lesson"], name="lesson_once")]


class Attempt(OfLearner):
    """An answer to one variant of an item. `client_key` comes with the question: sent twice, it counts
    once."""

    client_key = models.CharField(max_length=40)
    item = models.CharField(max_length=60)
    seed = models.BigIntegerField()
    revision = models.CharField(max_length=16)
    rules = models.IntegerField()
    answer = models.JSONField()
    correct = models.BooleanField()
    credit = models.FloatField()
    confidence = models.SmallIntegerField(null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["learner", "client_key"], name="answered_once")]
        indexes = [models.Index(fields=["learner", "item"], name="attempts_of_item")]


class ReviewCard(OfLearner):
    """When a concept is to be asked about again: an FSRS card (`lessons/review.py`)."""

    concept = models.CharField(max_length=60)
    card = models.JSONField()
    due = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["learner", "concept"], name="card_once")]
