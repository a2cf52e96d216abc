from __future__ import annotations

import pytest

from madang.scheduling.goodput import (
    Batches,
    Goodput,
    Learned,
    Measured,
    Shape,
    StepModel,
    fit,
)

TRUE = StepModel(0.05, 0.002, 0.08, 0.004, 0.03, 0.002, 2.0)


def measured(*shapes: Shape) -> dict[Shape, Measured]:
    found = {}
    for shape in shapes:
        step_s = float(TRUE.step_s(shape.nodes, shape.replicas, shape.local_batch))
        found[shape] = Measured(step_s, step_s - float(TRUE.compute_s(shape.local_batch)))
    return found


def test_a_fit_foretells_what_was_not_measured() -> None:
    shapes = [
        Shape(n, r, b) for b in (16, 32, 64) for n, r in ((1, 1), (1, 2), (1, 4), (2, 8), (4, 16))
    ]
    model = fit(measured(*shapes))
    for shape in (Shape(1, 3, 48), Shape(3, 12, 24), Shape(8, 32, 64)):
        true_s = float(TRUE.step_s(shape.nodes, shape.replicas, shape.local_batch))
        foretold = float(model.step_s(shape.nodes, shape.replicas, shape.local_batch))
        assert foretold == pytest.approx(true_s, rel=0.1)


def test_what_was_never_measured_costs_nothing() -> None:
    model = fit(measured(Shape(1, 1, 32)))
    alone = float(model.step_s(1, 1, 32))
    assert float(model.step_s(4, 16, 32)) == pytest.approx(alone, rel=0.01)


def test_noisy_gradients_favour_large_batches() -> None:
    batches = Batches(initial=32, largest=1024, local_smallest=8, local_largest=128)
    noisy = Goodput(TRUE, 1.0, 100.0, batches).best(2, 8)
    quiet = Goodput(TRUE, 100.0, 1.0, batches).best(2, 8)
    assert noisy.local_batch > quiet.local_batch


def test_a_fixed_batch_is_kept() -> None:
    batches = Batches(initial=32, largest=1024, local_smallest=8, local_largest=64, fixed=512)
    choice = Goodput(TRUE, 1.0, 10.0, batches).best(1, 4)
    assert 4 * choice.local_batch * (choice.accumulated + 1) == 512


def test_speeds_end_where_the_largest_batch_can_be_divided_no_more() -> None:
    batches = Batches(initial=32, largest=64, local_smallest=16, local_largest=64)
    speeds = Goodput(TRUE, 1.0, 10.0, batches).speeds((1, 2, 4, 8), 4)
    assert [gpus for gpus, _ in speeds] == [1, 2, 4]


def test_a_model_is_fitted_again_only_when_it_is_off() -> None:
    learned = Learned()
    for shape, value in measured(Shape(1, 1, 16), Shape(1, 1, 32)).items():
        learned.report(shape, value)
    model = learned.model
    for shape, value in measured(Shape(1, 1, 24)).items():
        learned.report(shape, value)
    assert learned.model is model
    for shape, value in measured(Shape(2, 8, 24)).items():
        learned.report(shape, value)
    assert learned.model is not model
    assert learned.largest == 8
