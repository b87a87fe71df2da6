"""Recorded cases and a live node: the models against the real systems."""
