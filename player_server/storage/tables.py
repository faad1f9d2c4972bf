"""The tables of people, courses, watching and hours. Times are UTC milliseconds (BIGINT) unless the name says
otherwise, hours are hundredths.

A `person` is one ID number; playback, lock, challenges and phone belong to it. A `learner` is a person's account at
one institution; progress, attempts and the ledger belong to it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from player_server.storage.schema import Id, Ms, id_column, metadata, reference

#: What a client of the API may do unless it was given less.
ALL_SCOPES = "eligibility hours results launches events"

institution = Table(
    "institution",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Ms, nullable=False),
)

person = Table(
    "person",
    metadata,
    id_column(),
    Column("id_hash", Text, nullable=False, unique=True),  # keyed hash of the ID number
    Column("id_tail_hash", Text, index=True),  # keyed hash of its last four characters, for the staff's search
    Column("id_cipher", Text, nullable=False),  # the ID number, encrypted
    Column("name", Text, nullable=False),
    Column("password_hash", Text),  # argon2id; null until the first password was chosen
    Column("initial_hash", Text),  # keyed hash of the initial secret; null once used
    Column("password_changed_at", Ms),
    Column("created_at", Ms, nullable=False),
)

learner = Table(
    "learner",
    metadata,
    id_column(),
    reference("institution_id", "institution.id"),
    reference("person_id", "person.id"),
    Column("class_name", Text),
    Column("mobile_cipher", Text),  # the number of the telephone, encrypted; `phone` is something else
    Column("hidden_by_import", Id),  # not there for anybody until that import is applied as a whole
    Column("disabled_at", Ms),
    Column("created_at", Ms, nullable=False),
    UniqueConstraint("institution_id", "person_id"),
    Index("ix_learner_person", "person_id"),
    Index(
        "ix_learner_hidden",
        "id",
        sqlite_where=text("hidden_by_import IS NOT NULL"),
        postgresql_where=text("hidden_by_import IS NOT NULL"),
    ),
)

staff = Table(
    "staff",
    metadata,
    id_column(),
    reference("institution_id", "institution.id", null=True),  # null: a regulator's, reads all institutions
    Column("username", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # see policy.roles
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False, server_default=text("false")),  # somebody else made the password
    Column("disabled_at", Ms),
    Column("created_at", Ms, nullable=False),
)

login_session = Table(
    "login_session",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256 of the cookie
    reference("person_id", "person.id", null=True),
    reference("learner_id", "learner.id", null=True),  # null until a person with several accounts has chosen
    reference("staff_id", "staff.id", null=True),
    Column("must_change", Boolean, nullable=False),  # opens nothing but the change-password page
    Column("created_at", Ms, nullable=False),
    Column("expires_at", Ms, nullable=False),
    Column("address", Text),
    Column("device", Text),
    Index("ix_login_session_person", "person_id"),
    Index("ix_login_session_staff", "staff_id"),
    Index("ix_login_session_expires", "expires_at"),
)

course = Table(
    "course",
    metadata,
    id_column(),
    reference("institution_id", "institution.id"),
    Column("title", Text, nullable=False),
    Column("specialty", Text, nullable=False),
    Column("subject", Text, nullable=False),  # public | professional | elective
    Column("closed_at", Ms),
    Column("created_at", Ms, nullable=False),
    UniqueConstraint("institution_id", "title"),
)

media = Table(
    "media",
    metadata,
    Column("sha", Text, primary_key=True),  # SHA-256 of the author's file
    Column("duration_ms", Ms, nullable=False),  # the earliest end of its tracks
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("video_codec", Text, nullable=False),
    Column("audio_codec", Text),
    Column("created_at", Ms, nullable=False),
)

quiz_version = Table(
    "quiz_version",
    metadata,
    Column("sha", Text, primary_key=True),  # SHA-256 of the canonical content
    Column("content", Text, nullable=False),  # JSON with the right answers: it never leaves the server
    Column("created_at", Ms, nullable=False),
)

video = Table(
    "video",
    metadata,
    id_column(),
    reference("course_id", "course.id"),
    Column("position", Integer, nullable=False),  # order within the course, from 1
    Column("title", Text, nullable=False),
    Column("hours", Integer, nullable=False),  # hundredths
    Column("media_sha", Text, ForeignKey("media.sha"), nullable=False),
    Column("captions_sha", Text),
    Column("quiz_sha", Text, ForeignKey("quiz_version.sha")),  # null: "quiz: none"
    Column("withdrawn_at", Ms),
    Column("created_at", Ms, nullable=False),
    UniqueConstraint("course_id", "title"),
    CheckConstraint("hours > 0", name="hours"),
)

enrolment = Table(
    "enrolment",
    metadata,
    id_column(),
    reference("learner_id", "learner.id"),
    Column("programme", Text, nullable=False),
    Column("issue_date", Date),  # the certificate's, a calendar day in China
    Column("expiry_date", Date),  # its last day
    Column("deadline", Ms),
    Column("offline_missing", Boolean, nullable=False, server_default=text("false")),  # the player may not open yet
    Column("withdrawn_at", Ms),
    Column("created_at", Ms, nullable=False),
    Index("ix_enrolment_learner", "learner_id"),
)

enrolment_course = Table(
    "enrolment_course",
    metadata,
    Column("enrolment_id", Id, ForeignKey("enrolment.id"), primary_key=True),
    Column("course_id", Id, ForeignKey("course.id"), primary_key=True),
)

# The live player: exactly one row a person. One beat is one update of it, fenced by `epoch`.
playback = Table(
    "playback",
    metadata,
    Column("person_id", Id, ForeignKey("person.id"), primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("session_id", Text),  # the page that may write; told to it in `welcome`
    Column("learner_id", Id),
    Column("video_id", Id),
    Column("round", Integer),
    Column("media_sha", Text),  # the version this playback counts against
    Column("login_hash", Text),  # the log-in session it belongs to
    Column("node", Text),
    Column("device", Text),
    Column("since", Ms),
    Column("frontier_ms", Ms, nullable=False),
    Column("position_ms", Ms, nullable=False),
    Column("carry_ms", Ms, nullable=False),
    Column("playing", Boolean, nullable=False),
    Column("until_challenge_ms", Ms),  # earned time until the next challenge; null before the first draw
    Column("held_challenge_id", Text),
    Column("challenge_sequence", Integer, nullable=False),
    Column("clock_domain", Text),  # which clock `clock_ms` was read from
    Column("clock_ms", Ms),  # the last beat, or the hello
    Column("ended_reason", Text),  # null while live; else bye | silent | signed_out | disabled | course
    # Of columns that no beat changes: PostgreSQL then rewrites the row in place, at half the cost.
    Index(
        "ix_playback_live",
        "person_id",
        sqlite_where=text("ended_reason IS NULL"),
        postgresql_where=text("ended_reason IS NULL"),
    ),
)

watch_progress = Table(
    "watch_progress",
    metadata,
    Column("learner_id", Id, ForeignKey("learner.id"), primary_key=True, autoincrement=False),
    Column("video_id", Id, ForeignKey("video.id"), primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("frontier_ms", Ms, nullable=False),
    Column("position_ms", Ms, nullable=False),
    Column("media_sha", Text, nullable=False),  # the version that was watched
    Column("watched_at", Ms),
    Column("credited_at", Ms),
    Column("updated_at", Ms, nullable=False),
    Index(
        "ix_watch_progress_unsettled",
        "learner_id",
        sqlite_where=text("watched_at IS NOT NULL AND credited_at IS NULL"),
        postgresql_where=text("watched_at IS NOT NULL AND credited_at IS NULL"),
    ),
)

watch_segment = Table(
    "watch_segment",
    metadata,
    id_column(),
    Column("session_id", Text, nullable=False),
    Column("number", Integer, nullable=False),  # within the session, from 1
    reference("learner_id", "learner.id"),
    reference("video_id", "video.id"),
    Column("round", Integer, nullable=False),
    Column("from_ms", Ms, nullable=False),
    Column("to_ms", Ms, nullable=False),
    Column("started_at", Ms, nullable=False),
    Column("ended_at", Ms, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("session_id", "number"),
    Index("ix_watch_segment_learner", "learner_id", "video_id"),
    Index("ix_watch_segment_ended", "ended_at"),
)

challenge = Table(
    "challenge",
    metadata,
    Column("id", Text, primary_key=True),
    reference("person_id", "person.id"),
    Column("sequence", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # identity | attendance
    reference("learner_id", "learner.id"),
    reference("video_id", "video.id"),
    Column("session_id", Text, nullable=False),
    Column("issued_at", Ms, nullable=False),  # of the store's clock
    Column("deadline", Ms, nullable=False),  # of the store's clock
    Column("answered_at", Ms),
    Column("outcome", Text),  # null while open; answered | missed
    reference("phone_id", "phone.id", null=True),
    Column("same_device", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("person_id", "sequence"),
    Index(
        "ix_challenge_missed",
        "issued_at",
        sqlite_where=text("outcome = 'missed'"),
        postgresql_where=text("outcome = 'missed'"),
    ),
    Index(
        "uq_challenge_open",
        "person_id",
        unique=True,
        sqlite_where=text("outcome IS NULL"),
        postgresql_where=text("outcome IS NULL"),
    ),
)

phone = Table(
    "phone",
    metadata,
    id_column(),
    reference("person_id", "person.id"),
    Column("credential_hash", Text, nullable=False),  # SHA-256 of the phone's cookie
    Column("device", Text),
    Column("enrolled_at", Ms, nullable=False),
    Column("revoked_at", Ms),
    Index(
        "uq_phone_person",
        "person_id",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
    Index(
        "uq_phone_credential",
        "credential_hash",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

finding = Table(
    "finding",
    metadata,
    id_column(),
    reference("person_id", "person.id"),
    reference("learner_id", "learner.id", null=True),
    reference("video_id", "video.id", null=True),
    Column("session_id", Text, nullable=False),  # the watch session, or another source that makes it unique
    Column("kind", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("worst", Ms, nullable=False),  # the largest measure seen (see telemetry.findings)
    Column("first_at", Ms, nullable=False),
    Column("last_at", Ms, nullable=False),
    UniqueConstraint("session_id", "kind"),
    Index("ix_finding_person", "person_id"),
    Index("ix_finding_last", "last_at"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Text, primary_key=True),  # the submission id of the sheet that was shown
    reference("learner_id", "learner.id"),
    reference("video_id", "video.id"),
    Column("round", Integer, nullable=False),
    Column("quiz_sha", Text, ForeignKey("quiz_version.sha"), nullable=False),  # the version that was shown
    Column("graded_sha", Text),  # the corrected version it was graded by again; null: only by the one shown
    Column("answers", Text, nullable=False),  # JSON: per question of the version, the chosen option numbers
    Column("right_count", Integer, nullable=False),
    Column("question_count", Integer, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("submitted_at", Ms, nullable=False),
    Index("ix_attempt_learner", "learner_id", "video_id", "round"),
    Index("ix_attempt_video", "video_id"),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    id_column(),
    reference("learner_id", "learner.id"),
    reference("institution_id", "institution.id"),
    reference("course_id", "course.id", null=True),
    reference("video_id", "video.id", null=True),
    Column("kind", Text, nullable=False),  # online | offline | employer | test
    Column("subject", Text, nullable=False),
    Column("hours", Integer, nullable=False),  # hundredths; negative for a reversal
    Column("round", Integer, nullable=False),
    Column("entry_type", Text, nullable=False),  # credit | reversal
    Column("rule_version", Text, nullable=False),
    Column("occurred_at", Ms, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: session ids, attempt id, challenge ids
    reference("reverses", "ledger_entry.id", null=True),
    Column("source", Text),
    Column("source_row", Text),
    UniqueConstraint("learner_id", "video_id", "round", "entry_type"),
    UniqueConstraint("source", "source_row"),
    # Whether an entry was taken back is asked for each entry that is shown or counted.
    Index(
        "ix_ledger_entry_reverses",
        "reverses",
        sqlite_where=text("reverses IS NOT NULL"),
        postgresql_where=text("reverses IS NOT NULL"),
    ),
)

outbox = Table(
    "outbox",
    metadata,
    id_column(),
    Column("topic", Text, nullable=False),
    Column("institution_id", Id),
    Column("learner_id", Id, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("source", Text, unique=True),  # what it tells of, where that could otherwise be told twice
    Column("created_at", Ms, nullable=False),
    # Given by one worker at a time, so that a reader who has seen a position misses none before it; never again.
    Column("position", BigInteger, unique=True),
    Column("delivered_at", Ms),  # every endpoint has it, or it was given up visibly
    Index("ix_outbox_institution", "institution_id", "position"),
    Index(
        "ix_outbox_unplaced",
        "id",
        sqlite_where=text("position IS NULL"),
        postgresql_where=text("position IS NULL"),
    ),
)

service_client = Table(
    "service_client",
    metadata,
    Column("id", Text, primary_key=True),
    reference("institution_id", "institution.id", null=True),  # null: the regulator's, sees all institutions
    Column("name", Text, nullable=False),
    Column("public_key", Text),  # Ed25519, PEM; null for a client that has a secret instead
    Column("disabled_at", Ms),
    Column("created_at", Ms, nullable=False),
    Column("secret_hash", Text),  # keyed hash
    Column("scopes", Text, nullable=False, server_default=text(f"'{ALL_SCOPES}'")),  # names, one space between
    Column("former_public_key", Text),  # of the last rotation, accepted until …
    Column("former_secret_hash", Text),
    Column("former_until", Ms),  # … then
)

audit = Table(
    "audit",
    metadata,
    id_column(),
    Column("at", Ms, nullable=False),
    Column("actor", Text, nullable=False),  # person:1, staff:2, client:exam, system
    Column("institution_id", Id),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("result", Text, nullable=False),
    Column("address", Text),
    Index("ix_audit_at", "at"),
    Index("ix_audit_institution", "institution_id", "id"),
)

boot_clock = Table(
    "boot_clock",
    metadata,
    Column("boot_id", Text, primary_key=True),
    Column("offset_ms", Ms, nullable=False),  # UTC milliseconds at the boot, as first seen
)
