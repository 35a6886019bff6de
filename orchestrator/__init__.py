"""OMEGA: from a context to one recorded decision, inline, fused or as a Celery canvas."""
