"""Replies that are more than text, people with several addresses, messages that are changed afterwards"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")

# A table that exists may hold rows: what is new and must not be NULL has a default for them.
NEW: dict[str, list[sa.Column[Any]]] = {
    "addresses": [
        sa.Column("marketing_opted_out_at", UTCDateTime(), nullable=True),
        sa.Column("marketing_said_at", UTCDateTime(), nullable=True),
    ],
    "channel_states": [
        sa.Column("look_due_at", UTCDateTime(), nullable=True),
        sa.Column("findings", JSON, nullable=True),
    ],
    "chat_conversations": [
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("customer_wrote_at", UTCDateTime(), nullable=True),
        sa.Column("control_at", UTCDateTime(), nullable=True),
        sa.Column("amendments", sa.Integer(), nullable=False, server_default="0"),
    ],
    "conversation_messages": [sa.Column("asks", sa.Boolean(), nullable=False, server_default=sa.false())],
    "deliveries": [
        sa.Column("extras", JSON, nullable=True),
        sa.Column("silenced", AutoString(), nullable=True),
        sa.Column("earlier_ids", sa.Text(), nullable=True),
        sa.Column("remark", sa.Text(), nullable=True),
        sa.Column("pricing", JSON, nullable=True),
    ],
}


def upgrade() -> None:
    op.create_table(
        "aliases",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("channel_name", AutoString(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("thread_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aliases")),
        sa.UniqueConstraint("channel_name", "address", name=op.f("uq_aliases_channel_name_address")),
    )
    for table, columns in NEW.items():
        for column in columns:
            op.add_column(table, _unbound(column))
    op.create_index("ix_chat_conversations_address", "chat_conversations", ["channel_name", "address"])
    _index_queue("channel_name", "next_attempt_at", "id")
    op.execute("UPDATE conversation_messages SET asks = TRUE WHERE role = 'user' AND consent IS NULL")
    op.execute(
        "UPDATE chat_conversations SET customer_wrote_at = (SELECT MAX(m.timestamp) FROM conversation_messages AS m"
        " WHERE m.conversation_id = chat_conversations.id AND m.role = 'user')"
    )


def _index_queue(*columns: str) -> None:
    queued = sa.text("status = 'queued'")
    op.drop_index("ix_deliveries_queued", "deliveries")
    op.create_index("ix_deliveries_queued", "deliveries", list(columns), sqlite_where=queued, postgresql_where=queued)


def _unbound(column: sa.Column[Any]) -> sa.Column[Any]:
    """Return a column of no table yet: two databases may be migrated by one process."""
    default = column.server_default
    return sa.Column(column.name, column.type, nullable=column.nullable, server_default=default)


def downgrade() -> None:
    op.drop_index("ix_chat_conversations_address", "chat_conversations")
    _index_queue("channel_name", "next_attempt_at")
    for table, columns in NEW.items():
        for column in columns:
            op.drop_column(table, column.name)
    op.drop_table("aliases")
