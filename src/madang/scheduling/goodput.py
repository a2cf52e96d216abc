"""How fast a training job gets on with so many devices, learned from the steps that it reports.

Pollux's model (Qiao et al., OSDI 2021, sections 2.2 and 3.1): how long a step takes follows from
seven parameters, fitted to what was measured; how much a step is worth follows from the noise of
the gradient. Their product, *goodput*, is what a size is chosen by: progress in a second, counted
in steps of the initial batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST = 1e-8
"""In place of 0 in the fit, where 0 would divide or have no logarithm."""
_BATCHES = 50
"""So many batch sizes, in equal ratios, are tried for each number of replicas."""
_FIT_AGAIN = 0.02
"""A model that foretells a new measurement as well as this (relative) is not fitted again."""
_MOST_STEPS = 40
_MOST_TRIES = 6
_CLOSE_ENOUGH = 1e-5
_SMALL_ERROR = 1e-4
"""Below this the root of the mean square error counts as this."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to run: replicas over nodes, and samples a replica takes at once."""

    nodes: int
    replicas: int
    local_batch: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of a step and how much of them replicas wait for one another."""

    step_s: float
    sync_s: float


@dataclass(frozen=True, slots=True)
class StepModel:
    """Seconds of a step: computing `alpha_c + beta_c * local batch` and a network part (constant,
    and a part for each replica beyond two; between nodes `n`, within one `r`) that overlap the
    more, the larger `gamma` is: from 1, one after the other, to 10, all at once."""

    alpha_c: float
    beta_c: float
    alpha_n: float
    beta_n: float
    alpha_r: float
    beta_r: float
    gamma: float

    def compute_s(self, local_batch: Any) -> Any:
        return self.alpha_c + self.beta_c * local_batch

    def network_s(self, nodes: Any, replicas: Any) -> Any:
        more = np.maximum(replicas - 2, _LEAST)
        within = np.where(replicas > 1, self.alpha_r + self.beta_r * more, _LEAST)
        return np.where(nodes > 1, self.alpha_n + self.beta_n * more, within)

    def step_s(self, nodes: Any, replicas: Any, local_batch: Any, accumulated: Any = 0) -> Any:
        """accumulated: how often a replica computes without waiting for others, in each step."""
        compute = self.compute_s(local_batch)
        network = self.network_s(nodes, replicas)
        both = (compute**self.gamma + network**self.gamma) ** (1 / self.gamma)
        return both + accumulated * compute


def fit(measured: Mapping[Shape, Measured]) -> StepModel:
    """The model that explains `measured` best (root mean square of the logarithms' errors), with
    Pollux's bounds and penalties. What was never measured is taken to cost nothing."""
    problem = _Fit.of(measured)
    found = problem.solve()
    if not problem.between.any():
        # Other nodes are not nearer than the own one.
        found[2] = max(found[2], found[4] * 1.1)
        found[3] = max(found[3], found[5] * 1.1)
    return StepModel(*found.tolist())


@dataclass(frozen=True, slots=True)
class _State:
    """The error at one point, and what its slopes are made of."""

    error: float
    slopes: Floats
    curvature: Floats


@dataclass(frozen=True, slots=True)
class _Fit:
    """Levenberg's and Marquardt's damped steps, in the logarithms of all parameters but gamma.

    The root of a mean square is not smooth at 0; its slope is that of the mean square divided by
    twice the root, so each step solves a least-squares problem weighted by the last roots.
    """

    local_batch: Floats
    more: Floats
    between: Floats
    within: Floats
    log_compute: Floats
    log_step: Floats

    @classmethod
    def of(cls, measured: Mapping[Shape, Measured]) -> _Fit:
        nodes = np.array([shape.nodes for shape in measured])
        replicas = np.array([shape.replicas for shape in measured])
        step_s = np.array([value.step_s for value in measured.values()])
        sync_s = np.array([value.sync_s for value in measured.values()])
        return cls(
            local_batch=np.array([float(shape.local_batch) for shape in measured]),
            more=np.maximum(replicas - 2.0, _LEAST),
            between=(nodes > 1).astype(float),
            within=((nodes == 1) & (replicas > 1)).astype(float),
            log_compute=np.log(np.maximum(step_s - sync_s, _LEAST)),
            log_step=np.log(step_s),
        )

    def solve(self) -> Floats:
        values, free = self.start()
        state, damping = self.at(values), 1e-2
        for _ in range(_MOST_STEPS):
            before = state.error
            curvature, slopes = state.curvature[np.ix_(free, free)], state.slopes[free]
            for _ in range(_MOST_TRIES):
                damped = curvature + damping * np.diag(np.diag(curvature) + 1e-9)
                step = np.clip(np.linalg.solve(damped, -slopes), -2.0, 2.0)
                tried = self._moved(values, free, step)
                at_tried = self.at(tried)
                if at_tried.error < before:
                    values, state, damping = tried, at_tried, max(damping / 5, 1e-8)
                    break
                damping *= 5
            if before - state.error < _CLOSE_ENOUGH:
                break
        return values

    def start(self) -> tuple[Floats, NDArray[np.int64]]:
        """Where to begin, and which parameters the measurements tell of; others are held fast."""
        values = np.array([1e-1, 1e-2] * 3 + [1.0 + 1e-3])
        free = [1, 6]
        several = bool((self.more > 0.5).any())
        if len(np.unique(self.local_batch)) == 1:
            values[0] = np.exp(self.log_compute).mean() / 2
        else:
            free.append(0)
        for first, seen in ((2, self.between.any()), (4, self.within.any())):
            known = int(seen) + int(seen and several)
            free.extend(range(first, first + known))
            values[first + known : first + 2] = _LEAST
        return values, np.array(sorted(free))

    @staticmethod
    def _moved(values: Floats, free: NDArray[np.int64], step: Floats) -> Floats:
        full = np.zeros(len(values))
        full[free] = step
        moved: Floats = values * np.exp(np.append(full[:6], 0.0))
        moved[:6] = np.clip(moved[:6], _LEAST, 1e6)
        moved[6] = min(max(values[6] + full[6], 1.0), 10.0)
        return moved

    def at(self, values: Floats) -> _State:
        alpha_c, beta_c, alpha_n, beta_n, alpha_r, beta_r, gamma = values.tolist()
        count = len(self.log_step)
        compute = alpha_c + beta_c * self.local_batch
        network = self.between * (alpha_n + beta_n * self.more)
        network += self.within * (alpha_r + beta_r * self.more) + _LEAST
        log_compute = np.log(compute)
        apart = gamma * (np.log(network) - log_compute)
        both = np.logaddexp(0.0, apart)
        off_compute = log_compute - self.log_compute
        off_step = log_compute + both / gamma - self.log_step
        error_compute = max(float(np.sqrt(off_compute @ off_compute / count)), _SMALL_ERROR)
        error_step = max(float(np.sqrt(off_step @ off_step / count)), _SMALL_ERROR)

        share = 1 / (1 + np.exp(-apart))  # of the network in a step's slope
        by_compute = np.zeros((count, len(values)))
        by_compute[:, 0] = alpha_c / compute
        by_compute[:, 1] = beta_c * self.local_batch / compute
        by_step = by_compute * (1 - share)[:, None]
        share /= network
        by_step[:, 2] = self.between * share * alpha_n
        by_step[:, 3] = self.between * share * beta_n * self.more
        by_step[:, 4] = self.within * share * alpha_r
        by_step[:, 5] = self.within * share * beta_r * self.more
        by_step[:, 6] = (share * network * apart - both) / gamma**2

        scale_compute, scale_step = 1 / (count * error_compute), 1 / (count * error_step)
        slopes = by_compute.T @ off_compute * scale_compute + by_step.T @ off_step * scale_step
        curvature = by_compute.T @ by_compute * scale_compute + by_step.T @ by_step * scale_step
        error = error_compute + error_step
        # Little overlap and little retrogression are likelier than much: Pollux's penalties.
        error += 1e-3 * (gamma - 1) ** 2
        slopes[6] += 2e-3 * (gamma - 1)
        curvature[6, 6] += 2e-3
        for first, ratio in ((2, beta_n / alpha_n), (4, beta_r / alpha_r)):
            error += 1e-2 * ratio**2
            pull = 2e-2 * ratio**2 * np.array([-1.0, 1.0])
            slopes[first : first + 2] += pull
            curvature[first : first + 2, first : first + 2] += 2 * np.outer([-1, 1], pull)
        return _State(error, slopes, curvature)


@dataclass(frozen=True, slots=True)
class Batches:
    """Which batches a job may use. initial: what progress is counted in. fixed: it keeps to this
    one in all, however many replicas it has (0: it does not)."""

    initial: int
    largest: int
    local_smallest: int
    local_largest: int
    fixed: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """progress_per_s: in steps of the initial batch. accumulated: beside the last, see
    `StepModel.step_s`."""

    progress_per_s: float
    local_batch: int
    accumulated: int


@dataclass(frozen=True, slots=True)
class Goodput:
    """What `StepModel` and the latest gradient foretell. gradient_sqr, gradient_var: square of
    the gradient's mean, and its variance at the initial batch."""

    steps: StepModel
    gradient_sqr: float
    gradient_var: float
    batches: Batches

    def gain(self, batch: Any) -> Any:
        """What a step of this batch is worth, in steps of the initial one (AdaScale)."""
        noise = self.gradient_var / (batch / self.batches.initial)
        total = noise + self.gradient_sqr
        return np.where(total > 0, (self.gradient_var + self.gradient_sqr) / total, 1.0)

    def best(self, nodes: int, replicas: int) -> Choice:
        """The batch by which the job gets on fastest."""
        rates, local, accumulated = self._tried(np.array([nodes]), np.array([replicas]))
        row = int(np.argmax(rates[:, 0]))
        return Choice(float(rates[row, 0]), int(local[row, 0]), int(accumulated[row, 0]))

    def speeds(self, sizes: Sequence[int], node_size: int) -> tuple[tuple[int, float], ...]:
        """Progress in a second for each number of replicas, on as few nodes as hold them."""
        bounds = self.batches
        most = (bounds.fixed or bounds.largest) // bounds.local_smallest
        sizes = [size for size in sizes if size <= max(most, 1)]
        replicas = np.array(sizes)
        rates, _, _ = self._tried(-(-replicas // node_size), replicas)
        return tuple(zip(sizes, rates.max(axis=0).tolist(), strict=True))

    def _tried(
        self, nodes: NDArray[np.int64], replicas: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
        bounds = self.batches
        if bounds.fixed:
            batch = np.full((1, len(replicas)), float(bounds.fixed))
        else:
            smallest = np.maximum(bounds.initial, bounds.local_smallest * replicas)
            batch = np.geomspace(smallest, max(bounds.largest, bounds.initial), _BATCHES)
        share = batch / replicas
        accumulated = np.ceil(share / bounds.local_largest - 1e-8) - 1
        # One replica alone can't tell the gradient's noise from a single batch.
        alone = (replicas == 1) & (batch > bounds.initial + 1e-8)
        accumulated = np.where(alone, np.maximum(accumulated, 1), accumulated).astype(np.int64)
        local = np.ceil(share / (accumulated + 1) - 1e-8).astype(np.int64)
        total = replicas * local * (accumulated + 1)
        rates = self.gain(total) / self.steps.step_s(nodes, replicas, local, accumulated)
        allowed = (bounds.local_smallest <= local) & (local <= bounds.local_largest)
        return np.where(allowed, rates, 0.0), local, accumulated


@dataclass(slots=True)
class Learned:
    """What the jobs of one template have reported so far, and the model fitted to it."""

    measured: dict[Shape, Measured] = field(default_factory=dict)
    model: StepModel | None = None

    def report(self, shape: Shape, value: Measured) -> None:
        """A measurement; the first of a shape counts. The model is fitted anew when it is off."""
        if shape in self.measured:
            return
        self.measured[shape] = value
        if self.model is not None:
            foretold = float(self.model.step_s(shape.nodes, shape.replicas, shape.local_batch))
            if abs(foretold / value.step_s - 1) < _FIT_AGAIN:
                return
        self.model = fit(self.measured)

    @property
    def largest(self) -> int:
        """The largest number of replicas that was measured."""
        return max((shape.replicas for shape in self.measured), default=0)
