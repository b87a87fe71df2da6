"""Loads all content when the site starts, and refuses to start on content that is wrong."""

from django.apps import AppConfig


class LessonsConfig(AppConfig):
    name = "lessons"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from lessons.catalogue import catalogue
        from lessons.scenarios import library

        library()
        catalogue()
