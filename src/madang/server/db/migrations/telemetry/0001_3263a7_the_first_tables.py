"""The first tables"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001_3263a7"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "metric_points",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id",
            "key",
            "timestamp_ms",
            "step",
            "value",
            "is_nan",
            name=op.f("pk_metric_points"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "report_offsets",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_report_offsets")),
    )
    op.create_table(
        "report_points",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workload_id", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_points")),
    )
    with op.batch_alter_table("report_points", schema=None) as batch_op:
        batch_op.create_index(
            "ix_report_points_series", ["workload_id", "key", "id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("report_points", schema=None) as batch_op:
        batch_op.drop_index("ix_report_points_series")

    op.drop_table("report_points")
    op.drop_table("report_offsets")
    op.drop_table("metric_points")
