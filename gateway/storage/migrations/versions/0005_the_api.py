"""Keys of the API, repeated requests, receivers of webhooks and what they are told, ratings, blocked senders"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("prefix", AutoString(), nullable=False),
        sa.Column("key_hash", AutoString(), nullable=False),
        sa.Column("scope", AutoString(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("last_used_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'write', 'admin')", name=op.f("ck_api_keys_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "receivers",
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("events", JSON, nullable=True),
        sa.Column("paused_until_at", UTCDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("disabled_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receivers")),
    )
    op.create_table(
        "repeated_requests",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("owner", AutoString(), nullable=False),
        sa.Column("idempotency_key", AutoString(), nullable=False),
        sa.Column("request_hash", AutoString(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("content_type", AutoString(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repeated_requests")),
        sa.UniqueConstraint("owner", "idempotency_key", name=op.f("uq_repeated_requests_owner_idempotency_key")),
    )
    op.create_index("ix_repeated_requests_created_at", "repeated_requests", ["created_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("type", AutoString(), nullable=False),
        sa.Column("conversation_id", BIG_ID, nullable=True),
        sa.Column("subject_id", AutoString(), nullable=True),
        sa.Column("payload", JSON, nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["chat_conversations.id"], name=op.f("fk_events_conversation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_conversation_id"), "events", ["conversation_id"], unique=False)
    op.create_index("ix_events_created_at", "events", ["created_at"], unique=False)
    op.create_table(
        "hook_deliveries",
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("event_id", BIG_ID, nullable=False),
        sa.Column("receiver_id", AutoString(), nullable=False),
        sa.Column("conversation_id", BIG_ID, nullable=True),
        sa.Column("status", AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UTCDateTime(), nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("delivered_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("status IN ('queued', 'delivered', 'failed')", name=op.f("ck_hook_deliveries_status")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_hook_deliveries_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_deliveries")),
        sa.UniqueConstraint("event_id", "receiver_id", name=op.f("uq_hook_deliveries_event_id_receiver_id")),
    )
    op.create_index(
        "ix_hook_deliveries_next_attempt_at",
        "hook_deliveries",
        ["receiver_id", "next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_hook_deliveries_order",
        "hook_deliveries",
        ["receiver_id", "conversation_id", "event_id"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.add_column("addresses", sa.Column("blocked_at", UTCDateTime(), nullable=True))
    op.add_column("chat_conversations", sa.Column("closed_at", UTCDateTime(), nullable=True))
    op.add_column("chat_conversations", sa.Column("rating", sa.Integer(), nullable=True))
    op.add_column("chat_conversations", sa.Column("rating_comment", sa.Text(), nullable=True))
    op.add_column("chat_conversations", sa.Column("rated_at", UTCDateTime(), nullable=True))
    op.create_index("ix_deliveries_conversation_id", "deliveries", ["conversation_id"])


def downgrade() -> None:
    op.drop_index("ix_deliveries_conversation_id", "deliveries")
    for name in ("rated_at", "rating_comment", "rating", "closed_at"):
        op.drop_column("chat_conversations", name)
    op.drop_column("addresses", "blocked_at")
    for table in ("hook_deliveries", "events", "repeated_requests", "receivers", "api_keys"):
        op.drop_table(table)
