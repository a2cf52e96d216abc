"""A simple CSV format of jobs, nodes and queues, for anyone's data; docs/guides/simulate.md.

jobs:   submitted_at, duration_s; and where wanted id, queue, user, project, cpu, memory, gpu,
        gpu_memory, gpu_model, accelerator, replicas (`4` or `2..8`), priority, preemptible,
        time_limit_s, expected_s, template
nodes:  name, cpu, memory; and where wanted count, gpu, gpu_model, gpu_memory, pool, rack
queues: name; and where wanted parent, weight, guarantee, limit, borrowing_limit, lending_limit
        (`gpu=8 cpu=100`), reclaimable, ordering, min_runtime_s
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from madang.core import amounts
from madang.core.errors import InvalidInput
from madang.core.resources import KEYS, MILLI, Resources, parse_bytes
from madang.scheduling.model import Amounts, Device, Group, Node, Queue, Request
from madang.scheduling.simulation.queue_rules import faults
from madang.scheduling.simulation.table import Row, read_table
from madang.scheduling.simulation.trace import Job, Trace, in_order, one_queue

JOB_COLUMNS = ("submitted_at", "duration_s")
JOB_OPTIONS = (
    "id", "queue", "user", "project", "cpu", "memory", "gpu", "gpu_memory", "gpu_model",
    "accelerator", "replicas", "priority", "preemptible", "time_limit_s", "expected_s", "template",
)  # fmt: skip
NODE_COLUMNS = ("name", "cpu", "memory")
NODE_OPTIONS = ("count", "gpu", "gpu_model", "gpu_memory", "pool", "rack")
QUEUE_COLUMNS = ("name",)
QUEUE_OPTIONS = (
    "parent", "weight", "guarantee", "limit", "borrowing_limit", "lending_limit", "reclaimable",
    "ordering", "min_runtime_s",
)  # fmt: skip

_RESOURCES = tuple(key for key in KEYS if key in JOB_OPTIONS)
_REPLICAS = re.compile(r"([0-9]+)(?:\.\.([0-9]+))?")
_GPU_MEMORY = 80 << 30


def read(jobs_path: Path, nodes_path: Path, queues_path: Path | None = None) -> Trace:
    """Raises InvalidInput naming file, row and column."""
    jobs = read_jobs(jobs_path)
    nodes = read_nodes(nodes_path)
    queues = read_queues(queues_path, nodes) if queues_path else one_queue(jobs, "priority")
    return Trace(jobs_path.stem, nodes, jobs, queues)


def read_jobs(path: Path) -> tuple[Job, ...]:
    jobs: list[Job] = []
    names: set[str] = set()
    for row in read_table(path, JOB_COLUMNS, JOB_OPTIONS):
        name = row.text("id", f"row-{row.number}")
        if name in names:
            raise row.bad("id", "Each job needs an id of its own.")
        names.add(name)
        jobs.append(_job(row, name))
    if not jobs:
        raise InvalidInput(f"{path.name} has no jobs", hint="Each row after the header is one.")
    return tuple(
        replace(job, request=replace(job.request, order=order))
        for order, job in enumerate(in_order(jobs))
    )


def _job(row: Row, name: str) -> Job:
    least, most = _replicas(row)
    expected = row.text("expected_s")
    request = Request(
        name,
        name,
        row.text("queue", "default"),
        (Group("worker", least, most, row.resources(_RESOURCES)),),
        priority=row.whole("priority", 0, least=-(10**6)),
        user=row.text("user"),
        project=row.text("project"),
        submitted_at=row.moment("submitted_at"),
        time_limit_s=row.number_of("time_limit_s", 0.0, unit="seconds"),
        expected_s=row.number_of("expected_s", unit="seconds") if expected else None,
        preemptible=row.yes("preemptible", True),
        resizable=most > least,
        template=row.text("template"),
    )
    return Job(request, row.number_of("duration_s", unit="seconds"))


def _replicas(row: Row) -> tuple[int, int]:
    match = _REPLICAS.fullmatch(row.text("replicas", "1"))
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= least <= most:
        raise row.bad("replicas", "Write how many, like 4, or from and to, like 2..8.")
    return least, most


def read_nodes(path: Path) -> tuple[Node, ...]:
    nodes: list[Node] = []
    for row in read_table(path, NODE_COLUMNS, NODE_OPTIONS):
        nodes += _nodes(row)
    names = [node.name for node in nodes]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"{path.name} has node {twice!r} twice", hint="Names must differ.")
    if not nodes:
        raise InvalidInput(f"{path.name} has no nodes", hint="Each row after the header is one.")
    return tuple(nodes)


def _nodes(row: Row) -> Iterator[Node]:
    count = row.whole("count", 1, least=1)
    try:
        memory = parse_bytes(row.required("memory"), "memory")
        gpu_memory = parse_bytes(row.text("gpu_memory") or _GPU_MEMORY, "gpu_memory")
    except InvalidInput as error:
        raise row.bad(error.field or "memory", error.hint or "") from None
    gpus = row.whole("gpu", 0, most=64)
    model = row.text("gpu_model", "GPU")
    first = Node(
        row.required("name"),
        row.required("name"),
        int(row.number_of("cpu", unit="CPUs") * MILLI),
        memory,
        tuple(Device("gpu", index, model, gpu_memory) for index in range(gpus)),
        pool=row.text("pool"),
        labels=(("rack", row.text("rack")),) if row.text("rack") else (),
    )
    yield from copies(first, count)


def copies(node: Node, count: int) -> Iterator[Node]:
    """So many nodes like this one, with names of their own."""
    if count == 1:
        yield node
        return
    for number in range(count):
        name = f"{node.name}-{number}"
        yield replace(node, id=name, name=name)


def read_queues(path: Path, nodes: Sequence[Node] | None = None) -> tuple[Queue, ...]:
    """With `nodes`, no more may be guaranteed than they have."""
    rows = list(read_table(path, QUEUE_COLUMNS, QUEUE_OPTIONS))
    names = {row.required("name") for row in rows}
    for row in rows:
        if row.text("parent") and row.text("parent") not in names:
            raise row.bad("parent", f"Queues of this file: {', '.join(sorted(names))}.")
    queues = tuple(_queue(row) for row in rows)
    if len(names) < len(rows):
        raise _twice(rows)
    if fault := next(faults(queues, nodes), None):
        row = next(row for row in rows if row.required("name") == fault.queue)
        raise row.bad(fault.field, f"{fault.message[0].upper()}{fault.message[1:]}. {fault.hint}")
    return queues


def _twice(rows: Sequence[Row]) -> InvalidInput:
    """Two rows have one name."""
    seen: set[str] = set()
    for row in rows:
        if row.required("name") in seen:
            return row.bad("name", "Names must differ.")
        seen.add(row.required("name"))
    raise AssertionError(rows)


def _queue(row: Row) -> Queue:
    name = row.required("name")
    return Queue(
        name,
        name,
        row.text("parent"),
        row.number_of("weight", 1.0),
        _cell_amounts(row, "guarantee") or (),
        _cell_amounts(row, "limit"),
        _cell_amounts(row, "borrowing_limit"),
        _cell_amounts(row, "lending_limit"),
        row.yes("reclaimable", True),
        row.text("ordering", "priority"),
        row.number_of("min_runtime_s", 0.0, unit="seconds"),
    )


def _cell_amounts(row: Row, column: str) -> Amounts | None:
    text = row.text(column)
    if not text:
        return None
    try:
        return parse_amounts(text, column)
    except InvalidInput as error:
        raise row.bad(column, f"{error.message}. {error.hint or ''}".strip()) from None


def parse_amounts(text: str, field: str) -> Amounts:
    """`gpu=8 cpu=100 memory=1TiB` → sorted pairs, counted as queues count."""
    return tuple(amounts.parse_amounts(amounts.split_amounts(text.split(), field), field).items())


def node_like(text: str, nodes: Sequence[Node]) -> Node:
    """A kind of node: the name or GPU model of one that is there, or `gpu=8,gpu_model=H100,…`."""
    for node in nodes:
        models = {device.model.lower() for device in node.devices}
        if text.lower() in (node.name.lower(), *models):
            return node
    if "=" in text:
        return _described(text)
    raise InvalidInput(
        f"there is no node or GPU model {text!r}",
        hint=f"There are {', '.join(_kinds(nodes))}; or say cpu=64,memory=512GiB,gpu=8,"
        "gpu_model=H100.",
    )


def _described(text: str) -> Node:
    need = Resources.parse([part for part in text.split(",") if part])
    model = need.device_models[0] if need.device_models else "GPU"
    memory = need.device_memory_bytes or _GPU_MEMORY
    devices = (Device("gpu", index, model, memory) for index in range(need.device_milli // MILLI))
    return Node("added", "added", need.cpu_milli, need.memory_bytes, tuple(devices))


def _kinds(nodes: Iterable[Node]) -> list[str]:
    kinds = {device.model for node in nodes for device in node.devices}
    return sorted(kinds) or sorted(node.name for node in nodes)[:5]
