"""Alembic's entry: runs on the connection that `storage.migrate` hands over."""

from __future__ import annotations

from alembic import context

from player_server.storage.all_tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
