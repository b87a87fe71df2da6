"""Topic patterns: words separated by dots, `*` exactly one word, `#` any number of words.

Source: www.rabbitmq.com/docs/exchanges#topic and rabbit_exchange_type_topic (the empty key has no
words at all, "." has two empty ones).
"""

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of a routing key or pattern: "" → [], "a" → ["a"], "." → ["", ""]."""
    return text.split(".") if text else []


def matches(pattern: list[str], key: list[str]) -> bool:
    """Whether the words of `key` fit the words of `pattern`. In the key wildcards are plain words.

    Greedy with one point to come back to: O(len(pattern) × len(key)), no recursion.
    """
    p = k = 0
    hash_at, hash_took = -1, 0
    while k < len(key):
        if p < len(pattern) and pattern[p] == "#":
            hash_at, hash_took = p, k
            p += 1
        elif p < len(pattern) and pattern[p] in ("*", key[k]):
            p += 1
            k += 1
        elif hash_at >= 0:
            hash_took += 1
            p, k = hash_at + 1, hash_took
        else:
            return False
    while p < len(pattern) and pattern[p] == "#":
        p += 1
    return p == len(pattern)
