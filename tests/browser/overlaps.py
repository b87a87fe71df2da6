"""What is wrong with a picture: boxes and words that touch, words that are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def overlap(a: list[float], b: list[float], by: float = 1.5) -> bool:
    """Whether two boxes [left, top, right, bottom] share more than `by` px each way."""
    return a[0] + by < b[2] and b[0] + by < a[2] and a[1] + by < b[3] and b[1] + by < a[3]


def faults_of(
    look: dict[str, Any], may_cover: Callable[[dict[str, Any], dict[str, Any]], bool], by: float = 1.5
) -> list[str]:
    """In words, of {nodes: [{id, kind, box}], labels: [{id, text, box, cut}], width, height}; words may overlap
    others and nodes by `by` px, and `may_cover(label, node)` says which may stand on which."""
    nodes, labels = look["nodes"], look["labels"]
    wrong = [
        f"nodes {a['id']} and {b['id']} overlap"
        for i, a in enumerate(nodes)
        for b in nodes[:i]
        if overlap(a["box"], b["box"])
    ]
    for i, label in enumerate(labels):
        left, top, right, bottom = label["box"]
        if label["cut"] or left < -1 or top < -1 or right > look["width"] + 1 or bottom > look["height"] + 1:
            wrong.append(f"{label['text']!r} is cut: {label['box']}")
        wrong += [
            f"{label['text']!r} and {other['text']!r} overlap: {label['box']}, {other['box']}"
            for other in labels[:i]
            if overlap(label["box"], other["box"], by)
        ]
        wrong += [
            f"{label['text']!r} covers {node['kind']} {node['id']}"
            for node in nodes
            if overlap(label["box"], node["box"], by) and not may_cover(label, node)
        ]
    return wrong
