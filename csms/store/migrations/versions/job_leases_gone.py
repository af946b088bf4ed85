"""jobs need no leases

Revision: 2f4d706b1803, after 1c0d87142fc1
"""

import sqlalchemy as sa
from alembic import op

from csms.store.table import BigInt, UtcDateTime

revision = "2f4d706b1803"
down_revision = "1c0d87142fc1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("job_lease")


def downgrade() -> None:
    op.create_table(
        "job_lease",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=False),
        sa.Column("last_ended_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
