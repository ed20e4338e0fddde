"""Keys of repeated requests as hashes, whom answers and the audit are about, names of API keys, webhooks in flight"""

import hashlib

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LEASED = sa.text("leased_until_at IS NOT NULL")
IN_USE = sa.text("revoked_at IS NULL")


def upgrade() -> None:
    op.add_column("repeated_requests", sa.Column("conversation", sa.Text(), nullable=True))
    op.create_index("ix_repeated_requests_conversation", "repeated_requests", ["conversation"])
    # Of answers that were kept before, nobody knows whom they are about; their requests stay known by their keys.
    op.execute("UPDATE repeated_requests SET body = NULL")
    op.add_column("audit", sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.create_index("ix_audit_conversation_id", "audit", ["conversation_id"])
    _hash_keys()
    # Two who had chosen one name at the same moment both got it: the later key is named by its beginning, too.
    op.execute(
        """
        UPDATE api_keys SET name = name || ' ' || prefix WHERE revoked_at IS NULL AND EXISTS (
            SELECT 1 FROM api_keys AS k WHERE k.name = api_keys.name AND k.revoked_at IS NULL AND k.id < api_keys.id)
        """
    )
    op.add_column("hook_deliveries", sa.Column("outages", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("hook_deliveries", sa.Column("leased_until_at", UTCDateTime(), nullable=True))
    op.create_index(
        "ix_hook_deliveries_leased",
        "hook_deliveries",
        ["receiver_id", "conversation_id", "leased_until_at"],
        sqlite_where=LEASED,
        postgresql_where=LEASED,
    )
    op.create_index("uq_api_keys_name", "api_keys", ["name"], unique=True, sqlite_where=IN_USE, postgresql_where=IN_USE)


def _hash_keys() -> None:
    """Keep of each key what the program looks it up by from now on."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, idempotency_key FROM repeated_requests")).all()
    hashed = [{"id": id_, "hash": hashlib.sha256(key.encode()).hexdigest()} for id_, key in rows]
    if hashed:
        connection.execute(sa.text("UPDATE repeated_requests SET idempotency_key = :hash WHERE id = :id"), hashed)


def downgrade() -> None:
    op.drop_index("uq_api_keys_name", "api_keys")
    op.drop_index("ix_hook_deliveries_leased", "hook_deliveries")
    op.drop_column("hook_deliveries", "leased_until_at")
    op.drop_column("hook_deliveries", "outages")
    op.drop_index("ix_audit_conversation_id", "audit")
    op.drop_column("audit", "conversation_id")
    op.drop_index("ix_repeated_requests_conversation", "repeated_requests")
    op.drop_column("repeated_requests", "conversation")
