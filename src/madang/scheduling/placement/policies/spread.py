"""The emptiest node: tasks disturb each other least, at the price of more fragments."""

from __future__ import annotations

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.first_fit import avoid_devices
from madang.scheduling.placement.policies.rule import Trial


class Spread:
    fullest_first = False

    def scores(self, trial: Trial) -> Integers:
        """Thousandths of the node that are free: of its devices when one is asked for."""
        ask = trial.ask
        cpu = np.array([max(1, each.cpu_milli) for each in ask.types])[trial.types]
        free = trial.cpu_milli * MILLI // cpu
        if ask.whole or ask.share:
            all_devices = np.maximum(1, trial.counts.sum(axis=1))[trial.types]
            nodes: Integers = trial.devices.sum(axis=1) // all_devices * MILLI + free
            return np.add(nodes[:, None] * MILLI, trial.devices) if ask.share else nodes
        scores: Integers = avoid_devices(ask)[trial.types] * 10 * MILLI + free
        return scores
