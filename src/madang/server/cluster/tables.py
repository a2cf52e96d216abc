"""Nodes and their devices, as their agents describe them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from madang.server.db.base import Base


class NodeRow(Base):
    """A machine with an agent. It is lost while `lost_at` is set: its lease ran out."""

    __tablename__ = "nodes"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    inventory: Mapped[dict[str, Any]]
    """`cluster.protocol.NodeInventory` without its devices, which have rows of their own."""
    boot_id: Mapped[str]
    agent_id: Mapped[str]
    cpu_milli: Mapped[int]
    memory_bytes: Mapped[int]
    lease_expires_at: Mapped[int]
    """Microseconds since 1970 by the database's clock, as in `db.leases`."""
    seen_at: Mapped[datetime]
    lost_at: Mapped[datetime | None] = mapped_column(default=None)
    cordoned_at: Mapped[datetime | None] = mapped_column(default=None)
    """Set: nothing new is placed on it."""
    pool: Mapped[str] = mapped_column(default="")
    labels: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    """Set by administrators; they go before what the agent says in its inventory."""
    counted: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    """Other things that it has, by name (licences, capture cards): set by administrators."""


class DeviceRow(Base):
    """An accelerator of a node."""

    __tablename__ = "devices"

    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str]
    memory_bytes: Mapped[int]
    uuid: Mapped[str] = mapped_column(default="")
    numa_node: Mapped[int] = mapped_column(default=0)
    simulated: Mapped[bool] = mapped_column(default=False)
    link_group: Mapped[int] = mapped_column(default=-1)
    """Devices of a node with the same one are joined by fast links; -1: by none."""
    profile: Mapped[str] = mapped_column(default="")
    """Of a slice that hardware keeps apart; empty for a whole device."""
