"""Addresses that take no messages, the bytes of prepared deliveries, who polls, long bodies in files"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("addresses", sa.Column("undeliverable_at", UTCDateTime(), nullable=True))
    op.add_column("deliveries", sa.Column("prepared", sa.LargeBinary(), nullable=True))
    op.add_column("channel_states", sa.Column("poll_owner", AutoString(), nullable=True))
    op.add_column("rejected_webhooks", sa.Column("body_sha256", AutoString(), nullable=True))
    op.create_index(
        "uq_rejected_webhooks_body_sha256",
        "rejected_webhooks",
        ["body_sha256", "channel_name", "received_at"],
        unique=True,
    )
