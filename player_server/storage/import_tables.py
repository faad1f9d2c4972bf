"""The tables of imports: one row for each uploaded sheet, its checked rows, and what is wrong with it.

Rows wait in `import_row` until somebody confirms them. ID numbers stand there as in `person`: keyed hashes and
cipher. Times are UTC milliseconds of the store's clock.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text, text

from player_server.storage.schema import Id, Ms, id_column, metadata, reference

import_run = Table(
    "import_run",
    metadata,
    id_column(),
    reference("institution_id", "institution.id"),
    reference("staff_id", "staff.id"),
    Column("kind", Text, nullable=False),  # learners | offline | employer
    Column("file_id", Text, nullable=False),  # stored_file; gone when that expires
    Column("file_name", Text, nullable=False),
    # checking | checked | faulty | unreadable | applying | applied | failed | discarded
    Column("state", Text, nullable=False),
    Column("fault", Text),  # why the file is unreadable, or the applying failed: a code
    Column("job_id", Text),  # the latest
    Column("row_count", Integer, nullable=False, server_default=text("0")),
    Column("new_count", Integer, nullable=False, server_default=text("0")),
    Column("changed_count", Integer, nullable=False, server_default=text("0")),
    Column("same_count", Integer, nullable=False, server_default=text("0")),
    Column("problem_count", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Ms, nullable=False),
    Column("applied_at", Ms),  # what it brought is visible from here on, all of it at once
    Column("secrets_at", Ms),  # when the initial secrets were shown last
    Index("ix_import_run_institution", "institution_id", "created_at"),
)

import_row = Table(
    "import_row",
    metadata,
    Column("import_id", Id, ForeignKey("import_run.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),  # of the sheet's row, the heading is 1
    Column("id_hash", Text, nullable=False),
    Column("id_tail_hash", Text, nullable=False),
    Column("id_cipher", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("mobile_cipher", Text),
    Column("data", Text, nullable=False),  # JSON: the other columns
    Column("outcome", Text, nullable=False),  # new | changed | same
    Column("learner_id", Id),  # known before, or made by this import
    Column("new_person", Boolean, nullable=False, server_default=text("false")),  # made by this import
    Column("applied", Boolean, nullable=False, server_default=text("false")),
)

import_problem = Table(
    "import_problem",
    metadata,
    Column("import_id", Id, ForeignKey("import_run.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),  # from 0, in the order of the sheet
    Column("number", Integer),  # of the sheet's row; null: the whole file
    Column("heading", Text),  # of the column
    Column("code", Text, nullable=False),
    Column("detail", Text),  # what was found or expected; never an ID or phone number
)
