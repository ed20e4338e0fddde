"""Alembic's entry: it is always handed a connection, by ``gateway.storage.schema``."""

from alembic import context

from gateway.storage import api_tables, journal, records, tables  # noqa: F401  they fill the metadata
from gateway.storage.columns import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
