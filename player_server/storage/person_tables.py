"""Tables of what is done by hand about one learner: staff's actions, appeals, and moves to another institution."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint

from player_server.storage.schema import Ms, id_column, metadata, reference

# One row for each thing that staff did by hand, with the reason they gave. The audit says that it happened;
# this is what people read later beside the learner or the video. Rows are only ever added.
staff_action = Table(
    "staff_action",
    metadata,
    id_column(),
    reference("institution_id", "institution.id"),
    reference("staff_id", "staff.id"),
    reference("learner_id", "learner.id", null=True),
    reference("video_id", "video.id", null=True),
    Column("action", Text, nullable=False),  # see learning.staff_actions.Action
    Column("reason", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON: what changed, from what to what; never an ID number
    Column("at", Ms, nullable=False),
    Index("ix_staff_action_learner", "learner_id", "at"),
    Index("ix_staff_action_video", "video_id", "at"),
)

appeal = Table(
    "appeal",
    metadata,
    id_column(),
    reference("institution_id", "institution.id"),
    reference("learner_id", "learner.id"),
    Column("about", Text, nullable=False),  # stretch | finding
    Column("subject", Text, nullable=False),  # names the stretch or finding, so that it is objected to once
    Column("what", Text, nullable=False),  # the reason nothing counted, or the kind of finding
    reference("video_id", "video.id", null=True),
    Column("round", Integer),  # of the video
    Column("since", Ms, nullable=False),  # UTC
    Column("until", Ms),  # UTC; null: counting never went on
    Column("words", Text, nullable=False),  # the learner's own
    Column("made_at", Ms, nullable=False),
    Column("state", Text, nullable=False),  # open | accepted | declined
    Column("answer", Text),
    reference("answered_by", "staff.id", null=True),
    Column("answered_at", Ms),
    reference("entry_id", "ledger_entry.id", null=True),  # the hours that were made up
    UniqueConstraint("learner_id", "subject"),
    Index("ix_appeal_institution", "institution_id", "state", "made_at"),
)

# A learner is handed over by one institution and taken by the other, so that neither can reach into the other.
move = Table(
    "move",
    metadata,
    id_column(),
    reference("learner_id", "learner.id"),
    reference("from_institution_id", "institution.id"),
    reference("to_institution_id", "institution.id"),
    Column("reason", Text, nullable=False),
    reference("offered_by", "staff.id"),
    Column("offered_at", Ms, nullable=False),
    Column("state", Text, nullable=False),  # offered | taken | declined | withdrawn
    reference("answered_by", "staff.id", null=True),
    Column("answered_at", Ms),
    reference("new_learner_id", "learner.id", null=True),
    Index("ix_move_to", "to_institution_id", "state"),
    Index("ix_move_learner", "learner_id"),
)
