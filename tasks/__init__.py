"""Thin Celery tasks: unpack, call, return."""
