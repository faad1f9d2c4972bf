"""The triggers that keep the roll-ups of `standing_tables.py` current, for both databases.

The migration that makes them calls `install`; databases that tests make from the metadata get them by an event.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, event, text

from player_server.storage.schema import metadata
from player_server.storage.standing_tables import standing

_LEARNER = "INSERT INTO standing_change (learner_id) VALUES ({row}.learner_id)"
_COURSE = (
    "INSERT INTO standing_change (learner_id) SELECT enrolment.learner_id FROM enrolment "
    "JOIN enrolment_course ON enrolment_course.enrolment_id = enrolment.id "
    "WHERE enrolment_course.course_id = NEW.course_id"
)
_ENROLMENT = (
    "INSERT INTO standing_change (learner_id) SELECT learner_id FROM enrolment WHERE id = {row}.enrolment_id"
)
_NEW_LEARNER = (
    "INSERT INTO standing (learner_id, institution_id, class_name, name, disabled) "
    "SELECT NEW.id, NEW.institution_id, NEW.class_name, person.name, NEW.disabled_at IS NOT NULL "
    "FROM person WHERE person.id = NEW.person_id"
)
_MOVED_LEARNER = (
    "UPDATE standing SET institution_id = NEW.institution_id, class_name = NEW.class_name, "
    "disabled = NEW.disabled_at IS NOT NULL WHERE learner_id = NEW.id; "
    "UPDATE course_standing SET institution_id = NEW.institution_id, class_name = NEW.class_name "
    "WHERE learner_id = NEW.id"
)
_NO_LEARNER = (
    "DELETE FROM standing WHERE learner_id = OLD.id; DELETE FROM course_standing WHERE learner_id = OLD.id"
)
_NAMED = "UPDATE standing SET name = NEW.name WHERE learner_id IN (SELECT id FROM learner WHERE person_id = NEW.id)"
_ENTRY = "INSERT INTO standing_change (learner_id, hours, at) VALUES (NEW.learner_id, NEW.hours, NEW.occurred_at)"

#: (name, when, table, statements): the same on both databases.
TRIGGERS = (
    ("standing_new_learner", "INSERT", "learner", _NEW_LEARNER),
    (
        "standing_moved_learner",
        "UPDATE OF institution_id, class_name, disabled_at",
        "learner",
        _MOVED_LEARNER,
    ),
    ("standing_no_learner", "DELETE", "learner", _NO_LEARNER),
    ("standing_named", "UPDATE OF name", "person", _NAMED),
    ("standing_enrolled", "INSERT", "enrolment", _LEARNER.format(row="NEW")),
    ("standing_enrolment", "UPDATE", "enrolment", _LEARNER.format(row="NEW")),
    ("standing_no_enrolment", "DELETE", "enrolment", _LEARNER.format(row="OLD")),
    ("standing_course", "INSERT", "enrolment_course", _ENROLMENT.format(row="NEW")),
    ("standing_no_course", "DELETE", "enrolment_course", _ENROLMENT.format(row="OLD")),
    ("standing_entry", "INSERT", "ledger_entry", _ENTRY),
    ("standing_played", "INSERT", "watch_progress", _LEARNER.format(row="NEW")),
    ("standing_progress", "UPDATE", "watch_progress", _LEARNER.format(row="NEW")),
    ("standing_new_video", "INSERT", "video", _COURSE),
    ("standing_video", "UPDATE OF hours, withdrawn_at", "video", _COURSE),
)


def install(connection: Connection) -> None:
    """Make the triggers; nothing happens if they are there."""
    if connection.dialect.name == "sqlite":
        for name, when, table, statements in TRIGGERS:
            connection.execute(
                text(f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {when} ON {table} BEGIN {statements}; END")
            )
        return
    if connection.scalar(text("SELECT 1 FROM pg_trigger WHERE tgname = :name"), {"name": TRIGGERS[-1][0]}):
        return
    for name, when, table, statements in TRIGGERS:
        connection.execute(
            text(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {statements}; RETURN NULL; END $$"
            )
        )
        connection.execute(
            text(f"CREATE TRIGGER {name} AFTER {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
        )


def follow_all(connection: Connection) -> None:
    """For a database that had learners before: a standing for each, and all of it to be worked out."""
    connection.execute(
        text(
            "INSERT INTO standing (learner_id, institution_id, class_name, name, disabled) "
            "SELECT learner.id, learner.institution_id, learner.class_name, person.name, "
            "learner.disabled_at IS NOT NULL FROM learner JOIN person ON person.id = learner.person_id"
        )
    )
    connection.execute(text("INSERT INTO standing_change (learner_id) SELECT learner_id FROM enrolment"))
    connection.execute(
        text(
            "INSERT INTO standing_change (learner_id, hours, at) "
            "SELECT learner_id, hours, occurred_at FROM ledger_entry"
        )
    )


def _with_the_tables(_target: Any, connection: Connection, *, tables: list[Table] | None = None, **_: Any) -> None:
    if tables is None or standing in tables:
        install(connection)


event.listen(metadata, "after_create", _with_the_tables)
