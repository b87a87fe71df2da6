"""Tells Django that the site is an app. It has no start-up work: rooms begin at the first socket."""

from django.apps import AppConfig


class PlaygroundConfig(AppConfig):
    name = "playground"
