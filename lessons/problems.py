"""What is wrong with content: all of it, each with its file and field, before anything is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured

from engine.errors import EngineError, ScenarioError

REFUSED = "The site does not start on bad content."


@dataclass
class Problems:
    """Lines of the form `file: field: what is wrong`."""

    lines: list[str] = field(default_factory=list)

    def add(self, where: str, said: str) -> None:
        self.lines.append(f"{where}: {said}")

    @contextmanager
    def of(self, where: str) -> Iterator[None]:
        """What the engine, or a value that cannot be read, raises inside becomes a problem there."""
        try:
            yield
        except ScenarioError as error:
            for problem in error.problems:
                self.add(where, problem)
        except (EngineError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
            self.add(where, str(error))

    def refuse(self) -> None:
        """Raises `ImproperlyConfigured` with every line, if there is any."""
        if self.lines:
            raise ImproperlyConfigured("\n".join((REFUSED, *self.lines)))
