"""The tables of the Merkle log over the ledger: leaves, the roots of complete subtrees, and signed checkpoints.

Rows are only ever added. Hashes are hexadecimal SHA-256; what they are made of stands in `policy/merkle.py`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, UniqueConstraint

from player_server.storage.schema import Ms, metadata, reference

ledger_leaf = Table(
    "ledger_leaf",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # from 0, without a gap
    reference("entry_id", "ledger_entry.id"),
    Column("hash", Text, nullable=False),
    Column("logged_at", Ms, nullable=False),
    UniqueConstraint("entry_id"),
    Index("ix_ledger_leaf_hash", "hash"),
)

# Only every eighth level is kept: any other node is worked out from at most 128 of these.
ledger_node = Table(
    "ledger_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),  # 8, 16, 24 …: the root of 2^level leaves
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # from 0, along its level
    Column("hash", Text, nullable=False),
)

# What is served. The same notes are kept as files outside the database: a checkpoint proves something only there.
ledger_checkpoint = Table(
    "ledger_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", Text, nullable=False),
    Column("note", Text, nullable=False),  # the signed note, word for word
    Column("created_at", Ms, nullable=False),
)
