"""`manage.py check_lessons [slug …]`: runs every goal, prediction and key, and lists what is wrong."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lessons.catalogue import catalogue
from lessons.proving import problems_of_lesson, problems_of_questions


class Command(BaseCommand):
    help = "Runs everything that lessons and questions claim about runs, and lists what is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slugs", nargs="*", metavar="slug", help="Lessons to look at; all without any.")

    def handle(self, *_: Any, **options: Any) -> None:
        found = catalogue()
        lessons = found.lessons
        slugs = options["slugs"] or list(lessons)
        unknown = [slug for slug in slugs if slug not in lessons]
        if unknown:
            raise CommandError(f"There is no lesson {', '.join(unknown)}; there are: {', '.join(lessons)}.")
        problems = [problem for slug in slugs for problem in problems_of_lesson(lessons[slug])]
        questions = () if options["slugs"] else found.questions
        problems += problems_of_questions(questions)
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise CommandError(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}.")
        items = sum(len(lessons[slug].items) for slug in slugs) + len(questions)
        self.stdout.write(f"{len(slugs)} lessons and {items} items hold.")
