"""Policies of actors, one a file: plain functions of what they are asked."""
