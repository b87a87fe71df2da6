"""Runs by the thousand: a job is rows in the database, worked off by Celery; the broker is only a bell."""
