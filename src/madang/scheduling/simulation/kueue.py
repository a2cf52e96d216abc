"""Settings of Kueue's scheduler performance tests, expanded as its generator does.

For each cohort, set of queues, queue and set of workloads at once: wait `creationIntervalMs`, make
the next of the set's workloads, `count` times over. Without `topology` there are no nodes, only
quota: here, one node as large as all nominal quotas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

from madang.core.errors import InvalidInput, Unsupported
from madang.core.resources import MILLI, Resources, parse_bytes
from madang.scheduling.model import Amounts, Group, Node, Queue, Request, Where
from madang.scheduling.simulation.table import open_text
from madang.scheduling.simulation.trace import Job, Trace, in_order, invalid

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m?)")


def read(path: Path) -> Trace:
    """Raises InvalidInput naming the file and the setting at fault."""
    return expand(_Setting(path.name, _load(path)), path.stem)


def expand(config: _Setting, name: str) -> Trace:
    queues: list[Queue] = []
    jobs: list[Job] = []
    for cohort_set in config.items("cohorts"):
        for number in range(cohort_set.count("count")):
            cohort = f"{cohort_set.text('className')}-{number}"
            leaves = list(_leaves(cohort_set, cohort))
            queues.append(_cohort(cohort, [queue for queue, _ in leaves]))
            for queue, settings in leaves:
                queues.append(queue)
                jobs += _workloads(queue.id, settings)
    ordered = [
        replace(job, request=replace(job.request, order=order))
        for order, job in enumerate(in_order(jobs))
    ]
    nodes = tuple(_nodes(config)) or (_quota_node(queues),)
    return Trace(name, nodes, tuple(ordered), tuple(queues))


def capacity_bound_s(trace: Trace) -> float:
    """No scheduler can be done earlier: the CPU time that a cohort's jobs ask for over its quota,
    of the cohort where that is most."""
    parents = {queue.id: queue.parent for queue in trace.queues}
    asked: dict[str, float] = {}
    for job in trace.jobs:
        cohort = parents[job.request.queue]
        cpu = sum(g.replicas_min * g.resources.cpu_milli for g in job.request.groups)
        asked[cohort] = asked.get(cohort, 0.0) + cpu * job.duration_s
    quota = {queue.id: dict(queue.guarantee).get("cpu", 0) for queue in trace.queues}
    return max(asked_for / max(1, quota[cohort]) for cohort, asked_for in asked.items())


# -- queues and workloads -------------------------------------------------------------------------


def _leaves(cohort_set: _Setting, cohort: str) -> Iterator[tuple[Queue, _Setting]]:
    for set_number, settings in enumerate(cohort_set.items("queuesSets")):
        nominal = settings.cpu_milli("nominalQuota")
        borrowing = settings.value.get("borrowingLimit")
        for number in range(settings.count("count")):
            name = f"{settings.text('className')}-{set_number}-{number}-{cohort}"
            yield (
                Queue(
                    name,
                    name,
                    cohort,
                    guarantee=(("cpu", nominal),),
                    borrowing_limit=None
                    if borrowing in (None, "")
                    else (("cpu", settings.cpu_milli("borrowingLimit")),),
                    reclaimable=settings.value.get("reclaimWithinCohort", "Never") != "Never",
                    ordering="priority",
                ),
                settings,
            )


def _cohort(name: str, leaves: list[Queue]) -> Queue:
    amounts: Amounts = (("cpu", sum(dict(queue.guarantee)["cpu"] for queue in leaves)),)
    return Queue(name, name, guarantee=amounts, limit=amounts)


def _workloads(queue: str, settings: _Setting) -> Iterator[Job]:
    may_be_preempted = (
        settings.value.get("reclaimWithinCohort", "Never") != "Never"
        or settings.value.get("withinClusterQueue", "Never") != "Never"
    )
    for set_number, workloads in enumerate(settings.items("workloadsSets")):
        interval_s = workloads.number("creationIntervalMs") / 1000
        templates = workloads.items("workloads")
        made = [(_groups(template), template) for template in templates]
        rounds = product(range(workloads.count("count")), enumerate(made))
        for created, (number, (position, (groups, template))) in enumerate(rounds, 1):
            kind = template.text("className")
            name = f"{queue}/{kind}-{set_number}-{number}-{position}"
            yield Job(
                Request(
                    name,
                    name,
                    queue,
                    groups,
                    priority=int(template.number("priority")),
                    project=queue,
                    submitted_at=created * interval_s,
                    preemptible=may_be_preempted,
                    template=kind,
                ),
                template.number("runtimeMs") / 1000,
            )


def _groups(template: _Setting) -> tuple[Group, ...]:
    need = Resources(template.cpu_milli("request"), 0)
    pods = template.count("podCount", 1)
    constraint = template.value.get("tasConstraint", "")
    if constraint not in ("required", "balanced"):  # `preferred` may be anywhere
        return (Group("main", pods, pods, need),)
    where = Where(together=_level(template))
    size = template.count("sliceSize", 1) if constraint == "balanced" else pods
    return tuple(
        Group(f"main-{start // size}", min(size, pods - start), min(size, pods - start), need,
              where=where)
        for start in range(0, pods, size)
    )  # fmt: skip


def _level(template: _Setting) -> str:
    level = template.text("tasLevel")
    if level.endswith("rack"):
        return "rack"
    if level.endswith("hostname"):
        return "node"
    raise template.bad("tasLevel", "Only levels that end in rack or hostname are known.")


# -- nodes ----------------------------------------------------------------------------------------


def _nodes(config: _Setting) -> Iterator[Node]:
    topology = config.value.get("topology")
    if topology is None:
        return
    levels = _Setting(f"{config.where}: topology", topology).items("levels")
    names = [level.text("name") for level in levels]
    counts = [range(level.count("count")) for level in levels]
    size = _Setting(f"{levels[-1].where}.capacity", levels[-1].value.get("capacity", {}))
    cpu_milli = size.cpu_milli("cpu")
    memory = parse_bytes(str(size.text("memory")).replace("Gi", "GiB").replace("Mi", "MiB"))
    for position in product(*counts):
        path = "-".join(f"{n}{i}" for n, i in zip(names, position, strict=True))
        labels = tuple(
            (name, "-".join(map(str, position[: depth + 1])))
            for depth, name in enumerate(names[:-1])
        )
        yield Node(path, path, cpu_milli, memory, labels=tuple(sorted(labels)))


def _quota_node(queues: list[Queue]) -> Node:
    roots = [queue for queue in queues if not queue.parent]
    total = sum(dict(queue.guarantee)["cpu"] for queue in roots)
    return Node("quota", "quota", total, 0)


# -- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Setting:
    """A mapping of the file, and where it is."""

    where: str
    value: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.value, dict):
            raise invalid(self.where, f"{self.value!r} is not a mapping", "Write `name: value`.")

    def items(self, name: str) -> list[_Setting]:
        found = self.value.get(name)
        if not isinstance(found, list) or not found:
            raise self.bad(name, f"It needs a list of {name}.")
        return [
            _Setting(f"{self.where}: {name}[{number}]", item) for number, item in enumerate(found)
        ]

    def text(self, name: str) -> str:
        found = self.value.get(name)
        if not isinstance(found, str) or not found:
            raise self.bad(name, "Write a text.")
        return found

    def number(self, name: str) -> float:
        found = self.value.get(name, 0)
        if isinstance(found, bool) or not isinstance(found, int | float) or found < 0:
            raise self.bad(name, "Write a number of at least 0.")
        return float(found)

    def count(self, name: str, default: int | None = None) -> int:
        found = self.value.get(name, default)
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise self.bad(name, "Write a whole number of at least 1.")
        return found

    def cpu_milli(self, name: str) -> int:
        """Kubernetes' quantities of CPUs: 20, "1.5", "500m"."""
        found = self.value.get(name)
        match = _QUANTITY.fullmatch(str(found)) if not isinstance(found, bool) else None
        if match is None:
            raise self.bad(name, "Write CPUs like 20 or 500m.")
        return int(Decimal(match[1]) * (1 if match[2] else MILLI))

    def bad(self, name: str, hint: str) -> InvalidInput:
        found = self.value.get(name)
        what = f"{name} is missing" if found is None else f"{name} can't be {found!r}"
        return invalid(self.where, what, hint)


def _load(path: Path) -> Any:
    try:
        import yaml  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise Unsupported("YAML can't be read here", hint="pip install pyyaml") from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with open_text(path) as file:
        try:
            return yaml.load(file, Loader=loader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            row = f", row {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise invalid(
                f"{path.name}{row}", "this is not YAML", "Name a generator.yaml of Kueue."
            ) from None
