"""What every policy that shares in time keeps to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.scheduling.model import Work
from madang.scheduling.timeshare import POLICIES, Job, Spread
from madang.scheduling.timeshare.tiresias import TiresiasPolicy

NODES = [4, 4, 4, 2]
amounts = st.floats(0.1, 1e5)


@st.composite
def works(draw: st.DrawFn) -> Work:
    rate = draw(st.none() | st.floats(0.01, 100))
    total = draw(st.none() | amounts)
    done = draw(st.floats(0, 2e5)) if rate else 0.0
    exponent = draw(st.floats(0.3, 1.0))
    speeds = tuple((k, rate * k**exponent) for k in (1, 2, 4, 8, 12)) if rate else ()
    return Work(
        total=total,
        done=done,
        rate=rate,
        attained_gpu_s=draw(amounts) if rate else 0.0,
        speeds=draw(st.sampled_from([(), speeds])),
        expected_total=draw(st.none() | amounts),
        overrun=draw(st.sampled_from([1.0, 1.5])),
        measured_gpus=draw(st.sampled_from([0, 1, 4, 14])),
    )


@st.composite
def jobs(draw: st.DrawFn) -> list[Job]:
    """Some run already, where there is room."""
    free = list(NODES)
    found = []
    for number in range(draw(st.integers(0, 8))):
        smallest = draw(st.sampled_from([1, 2, 3, 4, 6, 14, 20]))
        holds: list[tuple[int, int]] = []
        if draw(st.booleans()) and sum(free) >= smallest:
            left = smallest
            for node, room in enumerate(free):
                taken = min(room, left)
                if taken:
                    holds.append((node, taken))
                    free[node] -= taken
                    left -= taken
        found.append(
            Job(
                id=f"job-{number}",
                order=(float(number),),
                smallest=smallest,
                largest=smallest * draw(st.sampled_from([1, 1, 4])),
                work=draw(works()),
                priority=draw(st.sampled_from([0, 0, 100])),
                holds=tuple(holds),
                fixed=bool(holds) and draw(st.booleans()),
                silent=draw(st.booleans()),
                submitted_at=draw(st.sampled_from([0.0, 9.99e5])),
            )
        )
    return found


@pytest.mark.parametrize("name", [*POLICIES, "tiresias"])
@given(jobs=jobs(), most=st.none() | st.integers(0, 14))
def test_gives_no_more_than_there_is(name: str, jobs: list[Job], most: int | None) -> None:
    policy = POLICIES.get(name) or TiresiasPolicy()
    if name == "tiresias":
        jobs = [job for job in jobs if not job.fixed]
    decided = policy.decide(jobs, NODES, 1e6, most)
    used: Counter[int] = Counter()
    for spread in decided.values():
        for node, gpus in spread:
            used[node] += gpus
    assert all(gpus <= NODES[node] for node, gpus in used.items())
    by_id = {job.id: job for job in jobs}
    for job_id, spread in decided.items():
        job = by_id[job_id]
        assert job.smallest <= sum(gpus for _, gpus in spread) <= job.largest
    fixed = sum(job.held for job in jobs if job.fixed)
    if most is not None:
        assert used.total() <= max(most, fixed)


@pytest.mark.parametrize("name", POLICIES)
@given(jobs=jobs())
def test_keeps_what_may_not_be_stopped(name: str, jobs: list[Job]) -> None:
    decided = POLICIES[name].decide(jobs, NODES, 1e6)
    for job in jobs:
        if job.fixed:
            assert decided[job.id] == job.holds


@pytest.mark.parametrize("name", POLICIES)
@given(jobs=jobs())
def test_is_deterministic(name: str, jobs: list[Job]) -> None:
    first = POLICIES[name].decide(jobs, NODES, 1e6)
    again = POLICIES[name].decide(jobs, NODES, 1e6)
    assert list(first.items()) == list(again.items())


@pytest.mark.parametrize("name", POLICIES)
def test_what_reports_nothing_stops_nobody_until_it_is_late(name: str) -> None:
    known = Work(total=1e6, done=10.0, rate=1.0, attained_gpu_s=1e5, speeds=((1, 1.0), (14, 9.0)))
    runs = Job("runs", (0.0,), 14, 14, known, holds=((0, 4), (1, 4), (2, 4), (3, 2)))
    silent = Job("silent", (1.0,), 4, 4, Work(), silent=True)
    assert set(POLICIES[name].decide([runs, silent], NODES, 3000.0)) == {"runs"}
    assert "silent" in POLICIES[name].decide([runs, silent], NODES, 4000.0)


@pytest.mark.parametrize("name", POLICIES)
def test_short_jobs_without_end_do_not_starve_a_long_one(name: str) -> None:
    """Each round, for 30 hours, brings short jobs enough for the whole cluster."""
    speeds = ((1, 1.0), (2, 1.9), (4, 3.5), (8, 6.0))
    work = Work(total=2000.0, done=1.0, rate=1.0, attained_gpu_s=4.0, speeds=speeds)
    holds: Spread = ()
    ran = 0
    for number in range(1800):
        short = Work(total=100.0, speeds=speeds, rate=1.0, attained_gpu_s=1.0, measured_gpus=8)
        jobs = [Job("long", (0.0,), 4, 4, work, holds=holds)]
        jobs += [
            Job(f"short-{number}-{i}", (60.0 * number,), 1, 8, short, submitted_at=60.0 * number)
            for i in range(20)
        ]
        decided = POLICIES[name].decide(jobs, NODES, 60.0 * number)
        holds = decided.get("long", ())
        if holds:
            ran += 1
            work = replace(work, done=work.done + 60, attained_gpu_s=work.attained_gpu_s + 240)
    assert ran > 30
