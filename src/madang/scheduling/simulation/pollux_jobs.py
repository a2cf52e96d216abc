"""A job of Pollux's evaluation in virtual time: second by second it makes the progress that was
measured for its placement, batch and epoch (`Job` in `simulator/simulator.py` of the artifact)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

from madang.scheduling.goodput import Batches, Choice, Goodput, Learned, Shape
from madang.scheduling.simulation.pollux import Application, Submission

RESTART_S = 30.0
"""What each start costs, the first one too."""


class SimulatedJob:
    """learned: what it chooses its batch by and reports to; None: it keeps to `batch`."""

    def __init__(
        self,
        submission: Submission,
        application: Application,
        *,
        batch: int = 0,
        learned: Learned | None = None,
    ) -> None:
        self.submission = submission
        self.application = application
        self.learned = learned
        self.placement: tuple[int, ...] = ()
        self.starts = 0
        self.largest_run = 0
        self.epoch = 0
        self.progress = 0.0
        self.rate: float | None = None
        self.attained_gpu_s = 0.0
        self.finished_at: float | None = None
        self._batches = replace(application.batches, fixed=batch)
        self.first_gradient: tuple[float, float] | None = None
        self._gradient: tuple[float, float] | None = None
        self._choice = Choice(0.0, 0, 0)
        self._chosen: tuple[tuple[int, ...], Goodput | None] | None = None
        self._restart_s = 0.0
        self._goodput: Goodput | None = None

    @property
    def batches(self) -> Batches:
        """Which batches it may use."""
        return self._batches

    def most_replicas(self, gpus: int) -> int:
        """So many share its largest batch; one that keeps to its batch has one."""
        bounds = self._batches
        most = 1 if bounds.fixed else bounds.largest // bounds.local_smallest
        return min(gpus, most)

    @cached_property
    def step_times(self) -> tuple[tuple[tuple[int, ...], float], ...]:
        """What its batch takes at each placement that was measured with as many replicas."""
        replicas = self.submission.replicas
        choice = self._kept_batch(replicas)
        found = []
        for placement in self.application.placements(replicas):
            measured = self.application.measured(placement, choice.local_batch)
            compute_s = measured.step_s - measured.sync_s
            found.append((placement, measured.step_s + choice.accumulated * compute_s))
        return tuple(found)

    def goodput(self) -> Goodput | None:
        """What is foretold of it by what was learned and its latest gradient; None before."""
        if self.learned is None or self.learned.model is None or self._gradient is None:
            return None
        known = self._goodput
        if known is None or (known.steps is not self.learned.model) or self._moved(known):
            known = Goodput(self.learned.model, *self._gradient, self._batches)
            self._goodput = known
        return known

    def _moved(self, known: Goodput) -> bool:
        return (known.gradient_sqr, known.gradient_var) != self._gradient

    def place(self, placement: tuple[int, ...]) -> None:
        """Run with so many replicas on each node, after a restart; or nowhere."""
        self.placement = placement
        if placement:
            self._choose_batch()
            self._restart_s = RESTART_S
            self.starts += 1
            self.largest_run = max(self.largest_run, sum(placement))

    def run(self, now: float, seconds: float) -> None:
        """Get on for so long from `now`; `finished_at` is set when that is its end."""
        if not self.placement:
            return
        replicas = sum(self.placement)
        delay = min(self._restart_s, seconds)
        self._restart_s -= delay
        self.attained_gpu_s += delay * replicas
        now, seconds = now + delay, seconds - delay
        while seconds > 0 and self.finished_at is None:
            rate = self._measure(replicas)
            end_of_epoch = self.application.progress_at[self.epoch + 1]
            if self.progress + rate * seconds < end_of_epoch:
                self.progress += rate * seconds
                spent = seconds
            else:
                spent = round((end_of_epoch - self.progress) / rate)
                self.progress = end_of_epoch
                self.epoch += 1
                if self.epoch == self.application.epochs:
                    self.finished_at = now + spent
            self.rate = rate
            self.attained_gpu_s += spent * replicas
            now, seconds = now + spent, seconds - spent
            self._choose_batch()

    def _measure(self, replicas: int) -> float:
        """Progress in a second. What it sees of steps and gradients is learned."""
        choice, application = self._choice, self.application
        measured = application.measured(self.placement, choice.local_batch)
        batch = replicas * choice.local_batch * (choice.accumulated + 1)
        sqr, var = self._gradient = application.gradient(batch, self.epoch)
        if self.first_gradient is None:
            self.first_gradient = self._gradient
        gain = (var + sqr) / (var / (batch / self._batches.initial) + sqr)
        if self.learned is not None:
            shape = Shape(len(self.placement), replicas, choice.local_batch)
            self.learned.report(shape, measured)
        compute_s = measured.step_s - measured.sync_s
        return gain / (measured.step_s + choice.accumulated * compute_s)

    def _choose_batch(self) -> None:
        replicas, bounds = sum(self.placement), self._batches
        goodput = None if bounds.fixed else self.goodput()
        if self._chosen is not None:
            placement, by = self._chosen
            if placement == self.placement and by is goodput:
                return
        self._chosen = self.placement, goodput
        if goodput is None:
            self._choice = self._kept_batch(replicas)
        else:
            self._choice = _capped(goodput.best(len(self.placement), replicas), replicas, bounds)

    def _kept_batch(self, replicas: int) -> Choice:
        """The batch it keeps to, or the smallest one while it knows nothing."""
        bounds = self._batches
        batch = bounds.fixed or max(bounds.initial, bounds.local_smallest * replicas)
        return _capped(_split(batch, replicas, bounds), replicas, bounds)


def _capped(choice: Choice, replicas: int, bounds: Batches) -> Choice:
    most = bounds.largest // (replicas * (choice.accumulated + 1))
    return replace(choice, local_batch=min(choice.local_batch, most))


def _split(batch: int, replicas: int, bounds: Batches) -> Choice:
    """A batch divided over replicas, in as few parts as their memory allows."""
    share = math.ceil(batch / replicas - 1e-8)
    accumulated = math.ceil(share / bounds.local_largest - 1e-8) - 1
    if replicas == 1 and batch > bounds.initial:
        accumulated = max(1, accumulated)
    return Choice(0.0, math.ceil(share / (accumulated + 1) - 1e-8), accumulated)
