"""Learners and how their answers are served. Know no queue and no database."""
