"""What separates a task from the machine and from other tasks."""

from __future__ import annotations

from madang.server.cluster.sandbox.base import Places, Sandbox, SandboxTask
from madang.server.cluster.sandbox.bwrap import BwrapSandbox
from madang.server.cluster.sandbox.none import NoSandbox

__all__ = ["BwrapSandbox", "NoSandbox", "Places", "Sandbox", "SandboxTask", "all_sandboxes"]


def all_sandboxes() -> dict[str, Sandbox]:
    """By the name that a workload asks for. There is no fallback from one to another."""
    return {sandbox.name: sandbox for sandbox in (BwrapSandbox(), NoSandbox())}
