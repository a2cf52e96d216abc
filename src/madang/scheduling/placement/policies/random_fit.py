"""Any node with room, any device of it: what others are compared with."""

from __future__ import annotations

import random

import numpy as np

from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.rule import Trial


class RandomFit:
    fullest_first = False

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def scores(self, trial: Trial) -> Integers:
        node = self._random.randrange(len(trial.rows))
        if not trial.ask.share:
            scores = np.zeros(len(trial.rows), np.int64)
            scores[node] = 1
            return scores
        scores = np.zeros(trial.fits.shape, np.int64)
        scores[node, self._random.choice(np.flatnonzero(trial.fits[node]).tolist())] = 1
        return scores
