"""Tells Django that mass runs are an app of their own, with migrations of their own."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "playground.runs"
    label = "runs"
