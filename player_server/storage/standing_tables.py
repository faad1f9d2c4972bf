"""Roll-ups: where each learner stands, and the hours of each day, so that no page has to read a whole ledger.

They hold nothing that cannot be worked out again from the tables of people and hours. What is known at once (class,
name, disabled) is copied by triggers; what must be worked out follows within a second or two: triggers leave a row
in `standing_change`, and `learning/standing.py` works it off. Triggers, because imports, credits and every action
of staff write those tables, and none of them should have to know of roll-ups. No foreign keys: a roll-up must never
be a reason why something cannot be deleted.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, text

from player_server.storage.schema import Id, Ms, id_column, metadata

_NO = text("false")
_ZERO = text("0")

standing = Table(
    "standing",
    metadata,
    Column("learner_id", Id, primary_key=True, autoincrement=False),
    Column("institution_id", Id, nullable=False),
    Column("class_name", Text),
    Column("name", Text, nullable=False),  # the person's, for sorting and searching; pages mask it
    Column("disabled", Boolean, nullable=False),
    Column("courses", Integer, nullable=False, server_default=_ZERO),
    Column("required", BigInteger, nullable=False, server_default=_ZERO),  # hundredths of hours, of all courses
    Column("earned", BigInteger, nullable=False, server_default=_ZERO),
    Column("complete", Boolean, nullable=False, server_default=_NO),  # every video of every course has its hours
    Column("offline_missing", Boolean, nullable=False, server_default=_NO),  # of a course that is not complete
    Column("deadline", Ms),  # the earliest of the courses that are not complete, else of all
    Column("begins", Ms),  # when that course's enrolment was made
    Column("studied_at", Ms),  # the last time a player ended or gave hours
    Index("ix_standing_class", "institution_id", "class_name", "learner_id"),
    Index("ix_standing_name", "institution_id", "name", "learner_id"),
)

course_standing = Table(
    "course_standing",
    metadata,
    Column("learner_id", Id, primary_key=True, autoincrement=False),
    Column("course_id", Id, primary_key=True, autoincrement=False),
    Column("institution_id", Id, nullable=False),
    Column("class_name", Text),
    Column("required", BigInteger, nullable=False),
    Column("earned", BigInteger, nullable=False),
    Index("ix_course_standing_institution", "institution_id", "course_id"),
)

daily_hours = Table(
    "daily_hours",
    metadata,
    Column("institution_id", Id, primary_key=True, autoincrement=False),
    Column("class_name", Text, primary_key=True),  # of the learner when the entry came; "" for none
    Column("day", Integer, primary_key=True, autoincrement=False),  # China calendar day (policy.findings.china_day)
    Column("hours", BigInteger, nullable=False),  # hundredths; reversals count on the day they were made
)

# One row for each change that roll-ups must follow; worked off and deleted. It has no unique key: a row that is not
# committed yet must not be swallowed by one that is just being worked off.
standing_change = Table(
    "standing_change",
    metadata,
    id_column(),
    Column("learner_id", Id, nullable=False),
    Column("hours", BigInteger),  # of a ledger entry, else null
    Column("at", Ms),
    Index("ix_standing_change_learner", "learner_id"),
)
