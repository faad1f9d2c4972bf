"""Learners of an import that is not applied as a whole yet: they stand in the tables and are there for nobody."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, select

from player_server.storage.import_tables import import_run
from player_server.storage.tables import learner


def hidden_learners() -> Select[int]:
    """Their ids. Nearly always none: the mark is taken away soon after the import has been applied."""
    return select(learner.c.id).where(
        learner.c.hidden_by_import.is_not(None),
        learner.c.hidden_by_import.in_(select(import_run.c.id).where(import_run.c.applied_at.is_(None))),
    )


def is_there(learner_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether this learner is there for people. Every list of learners and every log-in asks it."""
    return learner_id.not_in(hidden_learners())
