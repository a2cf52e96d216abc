"""What a placement policy is: a score for each place where a replica could go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.nodes import Flags, Integers
from madang.scheduling.placement.space import Space


@dataclass(frozen=True)
class Trial:
    """Places for one replica: `rows` are nodes that have room, `fits[k, c]` the devices of each
    that would do; `counts[t, c]`: whole devices, not slices of one."""

    space: Space
    ask: Ask
    rows: Integers
    fits: Flags
    counts: Flags

    @property
    def types(self) -> Integers:
        types: Integers = self.space.type_of[self.rows]
        return types

    @property
    def cpu_milli(self) -> Integers:
        """Free CPU of each node before."""
        return self.space.cpu_milli[self.rows]

    @property
    def devices(self) -> Integers:
        """`[k, c]`: what is free of each whole device before."""
        return np.where(self.counts[self.types], self.space.device_milli[self.rows], 0)

    @property
    def devices_after(self) -> Integers:
        """After: `[k, c]`, or for a share `[k, c, c]`, where the first c is the device taken."""
        before = self.devices
        counts = self.counts[self.types]
        if self.ask.share:
            taken = np.where(self.fits & counts, self.ask.milli[self.types], 0)
            steps = np.eye(before.shape[1], dtype=np.int64)[None] * taken[:, :, None]
            return before[:, None, :] - steps
        if not self.ask.whole:
            return before
        whole = self.fits & counts & (before == MILLI)
        taken = whole & (np.cumsum(whole, axis=1) <= self.ask.whole)
        return np.where(taken, 0, before)

    @property
    def milli_asked(self) -> Integers:
        """Thousandths of devices that it takes of each node."""
        if self.ask.whole:
            return np.full(len(self.rows), self.ask.whole * MILLI)
        milli: Integers = self.ask.milli[self.types].max(axis=1, initial=0)
        return milli


class Rule(Protocol):
    """A policy. Higher scores are better; nodes of equal score are taken in their fixed order.

    fullest_first: of devices with equal score the fullest one is taken, else the first one.
    """

    fullest_first: bool

    def scores(self, trial: Trial) -> Integers:
        """`[k]`, one a node; of shares it may be `[k, c]`, one a device."""
        ...
