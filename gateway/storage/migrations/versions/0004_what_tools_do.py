"""What tools did, escalations and who was told of them, summaries, appointments that last and move"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")

# A table that exists may hold rows: what is new and must not be NULL has a default for them.
NEW: dict[str, list[tuple[str, Any, Any]]] = {
    "chat_conversations": [
        ("handled_at", UTCDateTime(), None),
        ("handoff_sequence", sa.Integer(), "0"),
        ("window_start", sa.Integer(), "0"),
    ],
    "leads": [("updated_at", UTCDateTime(), None)],
    "appointments": [
        ("minutes", sa.Integer(), "60"),
        ("email", sa.Text(), None),
        ("notes", sa.Text(), None),
        ("updated_at", UTCDateTime(), None),
        ("revision", sa.Integer(), "0"),
    ],
    "installation": [("raster_slot_minutes", sa.Integer(), None), ("raster_timezone", AutoString(), None)],
}


def upgrade() -> None:
    for table, columns in NEW.items():
        for name, kind, default in columns:
            op.add_column(table, sa.Column(name, kind, nullable=default is None, server_default=default))
    _create_journal()
    _create_escalations()
    _create_notices()
    _index("ix_chat_conversations_handled_at", "chat_conversations", ["handled_at"], "mode = 'human'")
    _index("ix_chat_conversations_escalated_at", "chat_conversations", ["escalated_at"], "mode = 'waiting'")
    _index("ix_escalations_notify_at", "escalations", ["notify_at"], "notify_at IS NOT NULL")
    _index("ix_notices_next_attempt_at", "notices", ["next_attempt_at"], "status = 'queued'")
    booked = ["conversation_id", "starts_at"]
    _index("uq_appointments_conversation_id_starts_at", "appointments", booked, "status = 'booked'", unique=True)
    op.create_index("ix_appointments_starts_at", "appointments", ["starts_at"])
    op.drop_index("ix_leads_contact_id", "leads")
    op.create_index("ix_leads_contact_id", "leads", ["contact_id"], unique=True)
    with op.batch_alter_table("appointments") as batch:
        batch.create_check_constraint("status", "status IN ('booked', 'cancelled', 'done', 'missed')")
    op.execute("UPDATE chat_conversations SET handled_at = last_activity_at WHERE mode = 'human'")


def _index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _conversation() -> Any:
    return sa.Column("conversation_id", BIG_ID, autoincrement=False, nullable=False)


def _number(name: str) -> Any:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def _belongs(table: str) -> Any:
    return sa.ForeignKeyConstraint(
        ["conversation_id"], ["chat_conversations.id"], name=op.f(f"fk_{table}_conversation_id")
    )


def _create_journal() -> None:
    op.create_table(
        "tool_runs",
        _conversation(),
        _number("input_sequence"),
        _number("round"),
        _number("position"),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("acts", sa.Boolean(), nullable=False),
        sa.Column("status", AutoString(), nullable=False),
        sa.Column("output", JSON, nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        _belongs("tool_runs"),
        sa.PrimaryKeyConstraint("conversation_id", "input_sequence", "round", "position", name=op.f("pk_tool_runs")),
        sa.CheckConstraint("status IN ('started', 'done', 'failed')", name=op.f("ck_tool_runs_status")),
    )
    op.create_table(
        "summaries",
        _conversation(),
        _number("up_to_sequence"),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("model", AutoString(), nullable=True),
        sa.Column("tokens_used", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        _belongs("summaries"),
        sa.PrimaryKeyConstraint("conversation_id", "up_to_sequence", name=op.f("pk_summaries")),
    )


def _create_escalations() -> None:
    op.create_table(
        "escalations",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("conversation_id", BIG_ID, nullable=False),
        sa.Column("sequence_number", sa.Integer(), nullable=False),
        sa.Column("reason", AutoString(), nullable=False),
        sa.Column("source", AutoString(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("notify_at", UTCDateTime(), nullable=True),
        sa.Column("notices", sa.Integer(), nullable=False),
        _belongs("escalations"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalations")),
    )
    op.create_index(op.f("ix_escalations_conversation_id"), "escalations", ["conversation_id"])


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("about", AutoString(), nullable=False),
        sa.Column("conversation_id", BIG_ID, nullable=True),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("channel_name", AutoString(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UTCDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("sent_at", UTCDateTime(), nullable=True),
        _belongs("notices"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("about", "kind", "target", name=op.f("uq_notices_about_kind_target")),
        sa.CheckConstraint("status IN ('queued', 'sent', 'failed')", name=op.f("ck_notices_status")),
    )
    op.create_index(op.f("ix_notices_conversation_id"), "notices", ["conversation_id"])
    op.create_index("ix_notices_created_at", "notices", ["created_at"])


def downgrade() -> None:
    with op.batch_alter_table("appointments") as batch:
        batch.drop_constraint(op.f("ck_appointments_status"), type_="check")
    op.drop_index("ix_leads_contact_id", "leads")
    op.create_index("ix_leads_contact_id", "leads", ["contact_id"])
    op.drop_index("ix_appointments_starts_at", "appointments")
    op.drop_index("uq_appointments_conversation_id_starts_at", "appointments")
    op.drop_index("ix_chat_conversations_escalated_at", "chat_conversations")
    op.drop_index("ix_chat_conversations_handled_at", "chat_conversations")
    for table in ("notices", "escalations", "summaries", "tool_runs"):
        op.drop_table(table)
    for table, columns in NEW.items():
        for name, _, _ in columns:
            op.drop_column(table, name)
