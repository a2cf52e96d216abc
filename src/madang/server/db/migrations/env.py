"""Run by Alembic for each command; `madang.server.db.migrate` hands it the connection."""

from __future__ import annotations

from alembic import context

from madang.server.db.migrate import configure

configure(context)
with context.begin_transaction():
    context.run_migrations()
