"""The agent: this machine as a node. It keeps what runs here as control's orders say."""

from __future__ import annotations

from madang.server.cluster.agent.agent import Agent

__all__ = ["Agent"]
