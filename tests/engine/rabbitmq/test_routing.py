"""Routing is pure: topic patterns, headers, exchanges, against references that are too slow to be wrong."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rabbitmq import headers, topic
from engine.rabbitmq.exchanges import Binding, Exchange, lookup, route

WORD = st.sampled_from(["a", "b", "", "*", "#"])


def fits_slowly(pattern: list[str], key: list[str]) -> bool:
    """By definition: # takes any number of words, * takes one, anything else itself."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(fits_slowly(pattern[1:], key[taken:]) for taken in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and fits_slowly(pattern[1:], key[1:])


@given(st.lists(WORD, max_size=6), st.lists(st.sampled_from(["a", "b", "", "*", "#"]), max_size=7))
def test_a_topic_pattern_fits_as_its_definition_says(pattern: list[str], key: list[str]) -> None:
    assert topic.matches(pattern, key) == fits_slowly(pattern, key)


@pytest.mark.parametrize(
    ("key", "words"), [("", []), (".", ["", ""]), ("a", ["a"]), ("a.", ["a", ""]), ("a..b", ["a", "", "b"])]
)
def test_a_key_has_a_word_more_than_dots_and_the_empty_key_has_none(key: str, words: list[str]) -> None:
    assert topic.words(key) == words


VALUES: list[Any] = [1, 2, "1", True, False, None, 1.0, [1], {"k": 1}]


@given(
    st.sampled_from([None, "all", "any", "all-with-x", "any-with-x"]),
    st.dictionaries(st.sampled_from(["a", "b", "x-c"]), st.sampled_from(VALUES), max_size=3),
    st.dictionaries(st.sampled_from(["a", "b", "x-c", "d"]), st.sampled_from(VALUES), max_size=4),
)
def test_headers_fit_as_the_x_match_says(
    kind: str | None, wanted: dict[str, Any], told: dict[str, Any]
) -> None:
    # Given a binding's arguments and a message's headers
    arguments = {**wanted, **({} if kind is None else {"x-match": kind})}
    # When those that count are looked at one by one
    counting = {n: v for n, v in wanted.items() if (kind or "").endswith("-with-x") or not n.startswith("x-")}
    fits = [
        name in told and (value is None or (type(told[name]) is type(value) and told[name] == value))
        for name, value in counting.items()
    ]
    # Then all or any of them must fit; without arguments all do, and none does
    expected = any(fits) if kind in ("any", "any-with-x") else all(fits)
    assert headers.matches(arguments, told) == expected


@pytest.mark.parametrize(("left", "right"), list(product(VALUES, VALUES)))
def test_a_value_equals_only_its_like_in_type_and_value(left: Any, right: Any) -> None:
    expected = type(left) is type(right) and left == right
    assert headers.same(left, right) == expected
    assert headers.same([left], [right]) == expected
    assert headers.same({"k": left}, {"k": right}) == expected


def exchange(name: str, kind: str, *bindings: tuple[str, str], alternate: str | None = None) -> Exchange:
    """Destinations that begin with q are queues, others exchanges."""
    arguments = {} if alternate is None else {"alternate-exchange": alternate}
    bound = [Binding(to[0] == "q", to, key, {}, topic.words(key)) for to, key in bindings]
    return Exchange(name, kind, True, False, False, arguments, 1, bound)


def routed(*exchanges: Exchange, keys: tuple[str, ...]) -> list[str]:
    """Where a message goes that is published to the first of them."""
    return route({each.name: each for each in exchanges}, exchanges[0], keys, {})


def test_each_queue_is_named_once_however_many_ways_lead_to_it() -> None:
    start = exchange("x", "topic", ("q1", "#"), ("q1", "a"), ("y", "a"))
    assert routed(start, exchange("y", "fanout", ("q1", ""), ("q2", "")), keys=("a",)) == ["q1", "q2"]


def test_every_key_is_routed_also_those_of_the_cc_header() -> None:
    assert routed(exchange("x", "direct", ("q1", "a"), ("q2", "b"), ("q3", "c")), keys=("a", "b")) == [
        "q1",
        "q2",
    ]


def test_rings_of_exchanges_come_to_an_end() -> None:
    ring = [exchange("x", "fanout", ("y", ""), ("q1", "")), exchange("y", "fanout", ("x", ""), ("q2", ""))]
    assert routed(*ring, keys=("",)) == ["q1", "q2"]


def test_an_exchange_that_finds_nothing_asks_its_alternate_and_so_on() -> None:
    chain = [
        exchange("x", "direct", ("q1", "a"), alternate="y"),
        exchange("y", "direct", alternate="z"),
        exchange("z", "fanout", ("q9", "")),
    ]
    assert routed(*chain, keys=("b",)) == ["q9"]
    assert routed(*chain, keys=("a",)) == ["q1"]


def test_an_exchange_as_target_is_a_target_even_if_it_leads_nowhere() -> None:
    start = exchange("x", "fanout", ("y", ""), alternate="z")
    assert routed(start, exchange("y", "fanout"), exchange("z", "fanout", ("q9", "")), keys=("",)) == []


def test_an_alternate_that_does_not_exist_or_is_the_default_exchange_finds_nothing() -> None:
    default = exchange("", "direct")
    assert routed(exchange("x", "fanout", alternate="none"), default, keys=("q1",)) == []
    assert routed(exchange("x", "fanout", alternate=""), default, keys=("q1",)) == []


def test_the_default_exchange_names_the_queue_of_each_key() -> None:
    assert routed(exchange("", "direct"), keys=("q2", "q1", "q2")) == ["q1", "q2"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["q1", "q2", "q3"]), st.sampled_from(["a", "b", "a.b", "#", "*"])),
        max_size=8,
    ),
    st.sampled_from(["a", "b", "a.b", ""]),
)
def test_lookup_keeps_the_order_of_binding(bindings: list[tuple[str, str]], key: str) -> None:
    held = exchange("x", "topic", *bindings).bindings
    found = lookup("topic", held, (key,), {})
    assert found == [each for each in held if topic.matches(each.words, topic.words(key))]
    assert lookup("fanout", held, (key,), {}) == held
    assert lookup("direct", held, (key,), {}) == [each for each in held if each.routing_key == key]
