from __future__ import annotations

import pytest

from madang.scheduling.model import Work
from madang.scheduling.progress import Progress
from madang.scheduling.timeshare.jobs import Job
from madang.scheduling.timeshare.remaining import expected_s, remaining_s, total


def job(work: Work, gpus: int = 2) -> Job:
    return Job("job", (0.0,), gpus, gpus, work)


def test_what_is_left_of_a_declared_total() -> None:
    assert remaining_s(job(Work(total=100, done=40, rate=2.0))) == 30


def test_a_total_is_believed_only_until_the_job_goes_past_it() -> None:
    past = Work(total=100, done=120, rate=2.0, attained_gpu_s=240)
    assert total(past) is None
    assert expected_s(job(past)) == 120  # as long again as it ran


def test_without_a_total_that_of_its_template_is_expected() -> None:
    assert total(Work(done=10, expected_total=50)) == 50
    assert total(Work(total=20, done=30, expected_total=50)) == 50


def test_a_job_that_never_ran_is_as_fast_as_others_of_its_template() -> None:
    assert remaining_s(job(Work(total=100, speeds=((2, 5.0),)))) == 20
    longer = remaining_s(job(Work(total=100, speeds=((2, 5.0),)), gpus=1))
    assert longer is not None and 20 < longer < 40
    assert remaining_s(job(Work(total=100))) is None


def test_who_declares_too_little_is_believed_less() -> None:
    progress = Progress()
    progress.ended("bert", "ann", done=100, declared=100)
    progress.ended("bert", "bob", done=300, declared=100)
    assert progress.overrun("bert", "ann") == 1.0
    assert progress.overrun("bert", "bob") == 3.0
    assert progress.overrun("bert", "eve") == 1.0
    assert total(Work(total=100, overrun=3.0)) == pytest.approx(300)
    assert progress.expected_total("bert") == 300
