"""`madang queue …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from madang.cli._output import (
    JsonOption,
    ProjectOption,
    about,
    connect,
    print_item,
    print_json,
    print_list,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from madang.schemas.queues import Amounts, Queue, QueueExplanation, ShareLine

app = typer.Typer(
    help="Queues: a tree that shares the cluster; jobs wait in its leaves.", no_args_is_help=True
)

QueueArgument = Annotated[str, typer.Argument(help="Queue, by name or id.")]
ParentOption = Annotated[str | None, typer.Option(help="The queue above it; '' for the root.")]
WeightOption = Annotated[
    float | None, typer.Option(help="Its part among its siblings, e.g. 2 for twice a 1.")
]
GuaranteeOption = Annotated[
    list[str] | None, typer.Option(help="Kept for it: gpu=8,memory=512GiB; none takes it away.")
]
LimitOption = Annotated[
    list[str] | None, typer.Option(help="Never more than this: gpu=16; none: no limit.")
]
BorrowingOption = Annotated[
    list[str] | None, typer.Option(help="At most this above its guarantee; none: no bound.")
]
LendingOption = Annotated[
    list[str] | None, typer.Option(help="At most this of its guarantee is lent; none: all of it.")
]
OrderingOption = Annotated[
    str | None,
    typer.Option(help="fifo, priority, newcomers, fair, usage, shortest, attained, goodput."),
]
MinRuntimeOption = Annotated[
    str | None, typer.Option(help="What has run for less is not stopped for others: 30m.")
]
ReclaimOption = Annotated[
    bool | None,
    typer.Option("--reclaimable/--not-reclaimable", help="Others may take back what it borrows."),
]
OpenOption = Annotated[
    bool | None, typer.Option("--open/--closed", help="Whether anything new starts from it.")
]
DescriptionOption = Annotated[str | None, typer.Option(help="What it is for.")]


@app.command("list")
def list_queues(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the tree: shares, what is in use, who waits."""
    with connect(project) as client:
        queues = sorted(client.queues.iterate(), key=lambda queue: queue.path.split("/"))
    print_list(
        queues,
        {
            "QUEUE": _indented,
            "PROJECT": lambda queue: queue.project or "(platform)",
            "WEIGHT": lambda queue: f"{queue.weight:g}",
            "GUARANTEE": lambda queue: _amounts(queue.guarantee),
            "LIMIT": lambda queue: _amounts(queue.limit),
            "USED": lambda queue: _amounts(_accelerators(queue.used)),
            "SHARE": lambda queue: f"{queue.share:.0%} of {queue.fair_share:.0%}",
            "WAITING": lambda queue: queue.waiting,
            "RUNNING": lambda queue: queue.running,
        },
        as_json=as_json,
        empty="No queues yet: a project's first job makes its default one.",
    )


@app.command("show")
def show_queue(
    queue: QueueArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show a queue."""
    with connect(project) as client:
        found = client.queues.get(queue)
    print_item(found, as_json=as_json, lines=_lines(found))


@app.command("create")
def create_queue(
    name: Annotated[str, typer.Argument(help="Its name.")],
    parent: ParentOption = None,
    platform: Annotated[
        bool, typer.Option("--platform", help="The platform's own, not one project's.")
    ] = False,
    weight: WeightOption = None,
    guarantee: GuaranteeOption = None,
    limit: LimitOption = None,
    borrowing_limit: BorrowingOption = None,
    lending_limit: LendingOption = None,
    reclaimable: ReclaimOption = None,
    ordering: OrderingOption = None,
    min_runtime: MinRuntimeOption = None,
    is_open: OpenOption = None,
    description: DescriptionOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a queue: maintainers below one of their project's, administrators anywhere."""
    settings = _settings(
        parent=parent,
        weight=weight,
        guarantee=guarantee,
        limit=limit,
        borrowing_limit=borrowing_limit,
        lending_limit=lending_limit,
        reclaimable=reclaimable,
        ordering=ordering,
        min_runtime=min_runtime,
        open=is_open,
        description=description,
    )
    with connect(None if platform else project) as client:
        found = client.queues.create(name, platform=platform, **settings)
    print_item(found, as_json=as_json, lines=[("created", found.path), ("id", found.id)])


@app.command("update")
def update_queue(
    queue: QueueArgument,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    parent: ParentOption = None,
    weight: WeightOption = None,
    guarantee: GuaranteeOption = None,
    limit: LimitOption = None,
    borrowing_limit: BorrowingOption = None,
    lending_limit: LendingOption = None,
    reclaimable: ReclaimOption = None,
    ordering: OrderingOption = None,
    min_runtime: MinRuntimeOption = None,
    is_open: OpenOption = None,
    description: DescriptionOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given; the rest stays."""
    changes = _settings(
        name=name,
        parent=parent,
        weight=weight,
        guarantee=guarantee,
        limit=limit,
        borrowing_limit=borrowing_limit,
        lending_limit=lending_limit,
        reclaimable=reclaimable,
        ordering=ordering,
        min_runtime=min_runtime,
        open=is_open,
        description=description,
    )
    with connect(project) as client:
        found = client.queues.change(queue, **changes)
    print_item(found, as_json=as_json, lines=_lines(found))


@app.command("delete")
def delete_queue(queue: QueueArgument, project: ProjectOption = None) -> None:
    """Remove a queue that has no other below it, and nothing that waits or runs."""
    with connect(project) as client:
        client.queues.delete(queue)
    print(f"{queue} is deleted")


@app.command("explain")
def explain_queue(
    queue: QueueArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many that wait.")] = 20,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why a queue has what it has, and who waits in it, why and until when."""
    with connect(project) as client:
        found = client.queues.explain(queue, limit=limit)
    if as_json:
        print_json(found)
        return
    for sentence in found.sentences:
        print(sentence)
    print()
    _print_shares(found)
    if found.waiting:
        _print_waiting(found)


def _print_shares(found: QueueExplanation) -> None:
    def column(name: str) -> Callable[[ShareLine], str]:
        return lambda line: _amount(line.resource, getattr(line, name))

    columns = ("cluster", "guarantee", "fair", "limit", "used", "borrowed", "lent", "available")
    shown: dict[str, Callable[[ShareLine], object]] = {"RESOURCE": lambda line: line.resource}
    shown |= {name.upper(): column(name) for name in columns}
    print_list(found.shares, shown, as_json=False, empty="")


def _amount(resource: str, amount: float | None) -> str:
    if amount is None:
        return "-"
    if resource == "memory":
        from madang.core.resources import format_bytes

        return format_bytes(int(amount))
    return f"{amount:g}"


def _print_waiting(found: QueueExplanation) -> None:
    print_list(
        found.waiting,
        {
            "#": lambda job: job.position,
            "JOB": lambda job: job.name or "(not yours to see)",
            "USER": lambda job: job.user,
            "PRIORITY": lambda job: job.priority,
            "STARTS": lambda job: about(job.expected_start),
            "WHY": lambda job: job.reason.message if job.reason else "",
        },
        as_json=False,
        empty="",
    )


def _settings(**given: Any) -> dict[str, Any]:
    """What was given, as `QueueCreate` and `QueueChange` have it."""
    import math

    from madang.cli._job_options import parse_duration
    from madang.core.amounts import split_amounts
    from madang.core.errors import InvalidInput

    settings = {name: value for name, value in given.items() if value is not None}
    if not math.isfinite(settings.get("weight", 1.0)):
        raise InvalidInput(
            f"{settings['weight']} is no weight", field="weight", hint="Write 2 for twice a 1."
        )
    if (text := settings.pop("min_runtime", None)) is not None:
        settings["min_runtime_s"] = parse_duration(text, "min-runtime")
    for name in ("guarantee", "limit", "borrowing_limit", "lending_limit"):
        if settings.get(name):
            settings[name] = split_amounts(settings[name], name)
        else:
            settings.pop(name, None)
    return settings


def _lines(queue: Queue) -> list[tuple[str, object]]:
    return [
        ("queue", queue.path),
        ("id", queue.id),
        ("project", queue.project or "(platform)"),
        ("weight", f"{queue.weight:g}"),
        ("guarantee", _amounts(queue.guarantee)),
        ("limit", _amounts(queue.limit)),
        ("borrows at most", _amounts(queue.borrowing_limit)),
        ("lends at most", _amounts(queue.lending_limit)),
        ("reclaimable", "yes" if queue.reclaimable else "no"),
        ("order", queue.ordering),
        ("min runtime", f"{queue.min_runtime_s:g} s" if queue.min_runtime_s else ""),
        ("open", "yes" if queue.open else "no"),
        ("used", _amounts(queue.used)),
        ("share", f"{queue.share:.1%} of a fair {queue.fair_share:.1%}"),
        ("waiting", queue.waiting),
        ("running", queue.running),
        ("description", queue.description),
    ]


def _indented(queue: Queue) -> str:
    return "  " * queue.path.count("/") + queue.name


def _accelerators(amounts: Amounts) -> Amounts:
    return {name: amount for name, amount in amounts.items() if name not in ("cpu", "memory")}


def _amounts(amounts: Amounts) -> str:
    return " ".join(f"{name}={amount}" for name, amount in amounts.items())
