"""The assignors by the names under which clients and clusters ask for them."""

from __future__ import annotations

from engine.kafka.assignors import Assignor, assign_range, assign_roundrobin, assign_sticky
from engine.kafka.uniform import assign_uniform

ASSIGNORS: dict[str, Assignor] = {
    "range": assign_range,
    "roundrobin": assign_roundrobin,
    "sticky": assign_sticky,
    "cooperative-sticky": assign_sticky,
    "uniform": assign_uniform,
    "kip848-range": assign_range,
}
