"""The Celery application: what it is made of, and how it runs."""
