"""What a job's speed is worth, and which sizes are best for all: shadow prices from a generalised
heSRPT recursion, and a knapsack.

heSRPT (Berg et al., SIGMETRICS 2021) shares servers among jobs that all get faster like `k ** p`.
Here each job has its own speeds. If no job came any more, then along the best schedule each job's
price of speed, `lambda`, stays what it is, and at any time the prices of the speeds that jobs get
sum up to the number of jobs not finished: that is what the mean completion time costs in a second.
When jobs end from the smallest to the largest, this fixes the price of each, the largest first.
With equal speeds `k ** p` it gives heSRPT's closed form, and SRPT as p goes to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sizes(total: int, node_size: int) -> list[int]:
    """Numbers of GPUs that are tried: powers of two within a node, then whole nodes: powers of
    two, what is half between them, and from 8 nodes on a quarter."""
    found = {1 << power for power in range(node_size.bit_length()) if 1 << power <= node_size}
    nodes = 1
    while nodes * node_size <= total:
        found |= {nodes * node_size, nodes * 3 // 2 * node_size}
        if nodes >= 8:
            found.add(nodes * 5 // 4 * node_size)
        nodes *= 2
    return sorted(size for size in found if size <= total)


class Knapsack:
    """Jobs that share `total` GPUs, each in one of `choices` sizes (sorted, without 0)."""

    def __init__(self, choices: Sequence[int], total: int) -> None:
        self.choices = np.array(choices)
        self.total = total
        # Row k: where best(g - choices[k]) is for each g, in an array that begins with -inf.
        self._largest = int(self.choices.max())
        self._less = self._largest + np.arange(total + 1) - self.choices[:, None]
        self._rest = self._largest + total - self.choices
        self._sizes = np.array([0, *choices])

    def _empty(self) -> Floats:
        best = np.zeros(self._largest + self.total + 1)
        best[: self._largest] = -np.inf
        return best

    def prices(self, speeds: Floats) -> Floats:
        """The price of each job's speed. speeds: a row a job, the largest job first; a column a
        size; 0 where it can't be had."""
        best = self._empty()
        current = best[self._largest :]
        found = np.empty(len(speeds))
        worth = np.empty(self._less.shape)
        least = np.empty(len(self.choices))
        with np.errstate(divide="ignore"):
            for index, speed in enumerate(speeds):
                best.take(self._rest, out=least, mode="clip")
                np.subtract(index + 1, least, out=least)
                np.divide(least, speed, out=least)
                found[index] = price = least.min()
                best.take(self._less, out=worth, mode="clip")
                worth += (price * speed)[:, None]
                np.maximum(current, np.maximum.reduce(worth), out=current)
        return found

    def choose(self, values: Floats) -> list[int]:
        """The size of each job, 0 for none, that makes the sum of values largest. values: a row a
        job, a column a size, -inf where not allowed."""
        best = self._empty()
        current = best[self._largest :]
        taken = np.zeros((len(values), self.total + 1), dtype=np.int64)
        worth = np.empty((len(self.choices) + 1, self.total + 1))
        sized = worth[1:]
        for row, value in zip(taken, values, strict=True):
            worth[0] = current  # without it
            best.take(self._less, out=sized, mode="clip")
            sized += value[:, None]
            worth.argmax(axis=0, out=row)
            np.maximum.reduce(worth, out=current)
        taken = self._sizes[taken]
        found = []
        left = self.total
        for row in taken[::-1]:
            found.append(int(row[left]))
            left -= found[-1]
        return found[::-1]
