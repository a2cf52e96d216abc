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
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from madang.core import amounts
from madang.core.errors import InvalidInput
from madang.core.resources import KEYS, MILLI, Resources, parse_bytes
from madang.scheduling.model import Amounts, Device, Group, Node, Queue, Request
from madang.scheduling.simulation.queue_rules import faults
from madang.scheduling.simulation.table import MOST_S, OneClock, Row, read_table
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

MOST_NODES = 20_000
MOST_GPUS = 200_000
MOST_GPUS_OF_NODE = 64
_MOST_CPUS = 4096
_MOST_REPLICAS = 100_000
_MOST_PRIORITY = 10**6
"""More than there is anywhere; a slip of the pen would fill the memory."""


def read(jobs_path: Path, nodes_path: Path, queues_path: Path | None = None) -> Trace:
    """Raises InvalidInput naming file, row and column."""
    jobs = read_jobs(jobs_path)
    nodes = read_nodes(nodes_path)
    queues = read_queues(queues_path, nodes) if queues_path else one_queue(jobs, "priority")
    return Trace(jobs_path.stem, nodes, jobs, queues)


def read_jobs(path: Path) -> tuple[Job, ...]:
    jobs: list[Job] = []
    names: set[str] = set()
    times = OneClock("submitted_at")
    for row in read_table(path, JOB_COLUMNS, JOB_OPTIONS):
        name = row.text("id", f"row-{row.number}")
        if name in names:
            raise row.bad("id", "Each job needs an id of its own.")
        names.add(name)
        times.check(row)
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
        priority=row.whole("priority", 0, least=-_MOST_PRIORITY, most=_MOST_PRIORITY),
        user=row.text("user"),
        project=row.text("project"),
        submitted_at=row.moment("submitted_at"),
        time_limit_s=row.number_of("time_limit_s", 0.0, most=MOST_S, unit="seconds"),
        expected_s=row.number_of("expected_s", most=MOST_S, unit="seconds") if expected else None,
        preemptible=row.yes("preemptible", True),
        resizable=most > least,
        template=row.text("template"),
    )
    return Job(request, row.number_of("duration_s", most=MOST_S, unit="seconds"))


def _replicas(row: Row) -> tuple[int, int]:
    match = _REPLICAS.fullmatch(row.text("replicas", "1"))
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= least <= most <= _MOST_REPLICAS:
        raise row.bad(
            "replicas",
            f"Write how many, like 4, or from and to, like 2..8; at most {_MOST_REPLICAS:,}.",
        )
    return least, most


def read_nodes(path: Path) -> tuple[Node, ...]:
    nodes: list[Node] = []
    gpus = 0
    for row in read_table(path, NODE_COLUMNS, NODE_OPTIONS):
        more = tuple(_nodes(row))
        nodes += more
        gpus += len(more) * len(more[0].devices)
        if wrong := too_many(len(nodes), gpus):
            raise row.bad("count" if row.text("count") else "name", wrong)
    twice = [name for name, count in Counter(node.name for node in nodes).items() if count > 1]
    if twice:
        raise InvalidInput(f"{path.name} has node {twice[0]!r} twice", hint="Names must differ.")
    if not nodes:
        raise InvalidInput(f"{path.name} has no nodes", hint="Each row after the header is one.")
    return tuple(nodes)


def _nodes(row: Row) -> Iterator[Node]:
    count = row.whole("count", 1, least=1, most=MOST_NODES)
    try:
        memory = parse_bytes(row.required("memory"), "memory")
        gpu_memory = parse_bytes(row.text("gpu_memory") or _GPU_MEMORY, "gpu_memory")
    except InvalidInput as error:
        raise row.bad(error.field or "memory", error.hint or "") from None
    gpus = row.whole("gpu", 0, most=MOST_GPUS_OF_NODE)
    model = row.text("gpu_model", "GPU")
    first = Node(
        row.required("name"),
        row.required("name"),
        int(row.number_of("cpu", most=_MOST_CPUS, unit="CPUs") * MILLI),
        memory,
        tuple(Device("gpu", index, model, gpu_memory) for index in range(gpus)),
        pool=row.text("pool"),
        labels=(("rack", row.text("rack")),) if row.text("rack") else (),
    )
    yield from copies(first, count)


def too_many(nodes: int, gpus: int) -> str:
    """What is said of more nodes or GPUs than can be simulated; empty where all is well."""
    if nodes <= MOST_NODES and gpus <= MOST_GPUS:
        return ""
    return f"There can be {MOST_NODES:,} nodes and {MOST_GPUS:,} GPUs at most, all together."


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
    gpus = need.device_milli // MILLI
    if gpus > MOST_GPUS_OF_NODE or need.cpu_milli > _MOST_CPUS * MILLI:
        raise InvalidInput(
            f"{text!r} is more than a node has",
            hint=f"At most gpu={MOST_GPUS_OF_NODE},cpu={_MOST_CPUS}.",
        )
    model = need.device_models[0] if need.device_models else "GPU"
    memory = need.device_memory_bytes or _GPU_MEMORY
    devices = (Device("gpu", index, model, memory) for index in range(gpus))
    return Node("added", "added", need.cpu_milli, need.memory_bytes, tuple(devices))


def _kinds(nodes: Iterable[Node]) -> list[str]:
    kinds = {device.model for node in nodes for device in node.devices}
    return sorted(kinds) or sorted(node.name for node in nodes)[:5]
