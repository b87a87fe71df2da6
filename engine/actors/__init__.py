"""Producers and consumers: they react to pushes, replies and their own timers by operations over a link."""
