"""What the tests of lessons, questions and progress share: a browser that keeps its cookies and posts what
forms hold."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from lessons.catalogue import catalogue
from lessons.learning import seen_order, true_guess
from lessons.lesson import Lesson
from lessons.texts import plain

SLUG = "point-to-point"


class Words(HTMLParser):
    """The text that a page has, scripts and all: whatever a reader of its source could find."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class Browser:
    """One browser at the site. `get` and `post` return responses, `text` a page's words without markup."""

    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True, SERVER_NAME="localhost")
        self.key = 0

    def get(self, path: str, **headers: Any) -> Any:
        return self.client.get(path, headers=headers or None)

    def csrf(self) -> str:
        if "csrftoken" not in self.client.cookies:
            self.client.get(f"/lessons/{SLUG}/")
        found = re.search(
            r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(f"/lessons/{SLUG}/").content.decode()
        )
        assert found
        return found[1]

    def post(self, path: str, part: bool = False, **fields: Any) -> Any:
        self.key += 1
        body = {"csrfmiddlewaretoken": self.csrf(), "key": f"a key of a form {self.key:04}", **fields}
        return self.client.post(path, body, headers={"X-Part": "text"} if part else None)

    def act(self, what: str, **fields: Any) -> Any:
        return self.post(f"/lessons/{SLUG}/{what}/", **fields)

    def to_the_goal(self, lesson: Lesson) -> None:
        """Everything before the goal, as somebody does who is always right."""
        assert self.act("predict", option=true_guess(lesson).id).status_code == 303
        assert self.act("stop", stop=len(lesson.segment) - 1).status_code == 303
        assert self.act("observe", order=seen_order(lesson)).status_code == 303
        assert self.act("explain").status_code == 303


def words_of(response: Any) -> str:
    parser = Words()
    parser.feed(response.content.decode())
    return re.sub(r"\s+", " ", unescape(" ".join(parser.words)))


def squeezed(text: str) -> str:
    """Letters and digits only: how a text is broken into elements makes no difference."""
    return re.sub(r"[\W_]+", "", text)


def shows(response: Any, text: str) -> bool:
    """Whether a page has this text of the content anywhere, markers shown as a page shows them."""
    return squeezed(plain(text, catalogue().facts)) in squeezed(words_of(response))


@pytest.fixture(autouse=True)
def the_same_day_each_time(settings: Any) -> None:
    settings.REVIEW_FUZZ = False


@pytest.fixture
def browser() -> Browser:
    return Browser()


@pytest.fixture
def lesson() -> Lesson:
    return catalogue().lessons[SLUG]
