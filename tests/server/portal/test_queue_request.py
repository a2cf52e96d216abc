"""The form of a queue, its command line and its call in Python say the same."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from madang.core.errors import InvalidInput
from madang.schemas.queues import Queue
from madang.server.portal.queue_request import QueueForm
from tests.server.portal.recorder import call_of_command_line, call_of_python

QUEUE = Queue(
    id="queue-1", name="train", path="research/train", parent="queue-0", project="vision",
    description="", weight=2.0, guarantee={"gpu": 8}, limit={}, borrowing_limit={},
    lending_limit={}, reclaimable=True, ordering="priority", min_runtime_s=0.0, open=True,
    leaf=True, can_write=True, used={}, borrowed={}, share=0.0, fair_share=0.5, waiting=0,
    running=0, created_at=datetime(2026, 11, 21, tzinfo=UTC),
)  # fmt: skip

FORMS = [
    QueueForm(name="plain"),
    QueueForm(name="a", weight="0.5", guarantee="gpu=8,memory=512GiB", limit="gpu/H100=4"),
    QueueForm(name="b", parent="research", description="two words", ordering="fifo"),
    QueueForm(name="c", reclaimable="", open="", min_runtime_s="90"),
    QueueForm(name="d", borrowing_limit="gpu=2", lending_limit="gpu=1,cpu=4"),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("project", ["vision", ""])
def test_creating(form: QueueForm, project: str) -> None:
    line, python = form.create_lines(project)
    command = call_of_command_line(shlex.split(line), "queues")
    call = call_of_python(python)
    assert command.name == call.name == "queues.create"
    assert command.words == call.words == (form.name,)
    assert command.options.pop("platform") == call.options.pop("platform", False) == (not project)
    assert call.options.pop("project", "") == project
    assert command.options == call.options
    assert form.settings() == QueueForm(name=form.name).settings() | call.options


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": "3"},
        {"guarantee": ""},
        {"name": "other", "limit": "gpu=16"},
        {"parent": "", "open": ""},
        {"reclaimable": "", "description": "it's new", "min_runtime_s": "30"},
    ],
    ids=str,
)
def test_changing(changes: dict[str, str]) -> None:
    form = replace(QueueForm.of(QUEUE), **changes)
    line, python = form.change_lines(QUEUE)
    command, call = call_of_command_line(shlex.split(line), "queues"), call_of_python(python)
    assert command.name == call.name == "queues.change"
    assert command.options == call.options == form.changes(QueueForm.of(QUEUE))
    assert set(call.options) == set(changes)


def test_a_form_that_is_not_changed_changes_nothing() -> None:
    assert QueueForm.of(QUEUE).changes(QueueForm.of(QUEUE)) == {}


@pytest.mark.parametrize(
    ("field", "text"), [("weight", "much"), ("guarantee", "gpu"), ("min_runtime_s", "1h")]
)
def test_what_can_t_be_read_is_told_at_its_field(field: str, text: str) -> None:
    form = replace(QueueForm(name="a"), **{field: text})
    with pytest.raises(InvalidInput) as caught:
        form.settings()
    assert caught.value.field == field
    assert form.create_lines("vision")[0].startswith("madang queue create a")
    assert form.create_lines("vision")[1] == ""
