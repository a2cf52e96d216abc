"""Queues whose jobs share GPUs in time: in rounds it is decided who of them runs where.

`POLICIES` has one policy for each ordering of this kind: `shortest` and `attained` for jobs of one
size, `goodput` for those that may run with more or fewer GPUs.
"""

from __future__ import annotations

from madang.scheduling.timeshare.jobs import Job, Policy, Spread
from madang.scheduling.timeshare.rounds import POLICIES, Round, View, plan_round

__all__ = ["POLICIES", "Job", "Policy", "Round", "Spread", "View", "plan_round"]
