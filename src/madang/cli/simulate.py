"""`madang simulate`: replay jobs in virtual time, here, without a server."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from madang.cli._output import JsonOption, connect, to_plain

if TYPE_CHECKING:
    from madang.scheduling.simulation.command import Outcome

_INTERRUPTED = 130


def simulate(
    format: Annotated[
        str, typer.Option(help="openb, pollux, philly, kueue, history or csv.")
    ] = "csv",
    workloads: Annotated[
        Path | None, typer.Option("--workloads", "-w", help="File of the jobs.")
    ] = None,
    nodes: Annotated[Path | None, typer.Option("--nodes", "-n", help="File of the nodes.")] = None,
    profiles: Annotated[
        Path | None, typer.Option(help="pollux: folder of the measured applications.")
    ] = None,
    from_history: Annotated[
        bool, typer.Option("--from-history", help="Replay what the platform ran.")
    ] = False,
    since: Annotated[
        str, typer.Option(help="--from-history: 7d, 12h, or a time like 2026-11-01.")
    ] = "1d",
    save: Annotated[
        Path | None, typer.Option(help="--from-history: also keep it in this file.")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="Placement policy; several are compared.")
    ] = None,
    ordering: Annotated[
        list[str] | None, typer.Option(help="Order within queues; several are compared.")
    ] = None,
    migration_budget: Annotated[
        list[float] | None,
        typer.Option(
            help="Part of the running tasks that may be moved within an hour so that others fit: "
            "0.02. Several are compared."
        ),
    ] = None,
    mix: Annotated[
        str, typer.Option(help="openb: the mix of requests is given, or learned as they come.")
    ] = "given",
    inflate: Annotated[
        float | None,
        typer.Option(help="Load: openb: arrivals over what there is (1.3); else times faster."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn, and of ties.")] = 42,
    load: Annotated[
        float, typer.Option(help="philly: GPU time asked for over what there is.")
    ] = 0.85,
    queues: Annotated[
        Path | None, typer.Option(help="What if: these queues (CSV) instead.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="What if: QUEUE.NAME=VALUE, e.g. vision.guarantee=gpu=8."),
    ] = None,
    add_nodes: Annotated[
        list[str] | None, typer.Option(help="What if: N:KIND more, e.g. 4:H100.")
    ] = None,
    without_node: Annotated[
        list[str] | None, typer.Option(help="What if this node were not there?")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show beside it what comes out unchanged.")
    ] = False,
    grace: Annotated[
        float | None, typer.Option(min=0, help="Seconds from a preemption to its release.")
    ] = None,
    start_delay: Annotated[
        float | None, typer.Option(min=0, help="Seconds from each start to the first work.")
    ] = None,
    restart_cost: Annotated[
        float | None, typer.Option(min=0, help="Seconds more, where it ran before.")
    ] = None,
    save_every: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds between two saves of a job's work; 0: at each stop."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a report with charts to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay jobs in virtual time with the scheduler itself, and ask it what if.

    Ctrl-C stops and shows what there is until then.
    """
    from madang.scheduling.simulation.command import Changes, Options
    from madang.scheduling.simulation.command import simulate as run

    data = _history(since, save) if from_history else None
    options = Options(
        format="history" if from_history else format,
        nodes=nodes,
        workloads=workloads,
        data=data,
        profiles=profiles,
        policies=tuple(policy or ()),
        orderings=tuple(ordering or ()),
        migration_budgets=tuple(migration_budget or ()),
        mix=mix,
        seed=seed,
        inflate=inflate,
        load=load,
        changes=Changes(queues, tuple(set_ or ()), tuple(add_nodes or ()),
                        tuple(without_node or ())),
        compare=compare,
        grace_s=grace,
        start_s=start_delay,
        restart_s=restart_cost,
        save_every_s=save_every,
    )  # fmt: skip
    if html is not None:
        _write(html, "")  # says now what would be wrong with it, not after hours
    with _interruptible() as stop, _progress() as progress:
        outcome = run(options, progress, stop)
    if html is not None:
        _write(html, outcome.html())
    _show(outcome, as_json, html)
    if outcome.partial:
        raise typer.Exit(_INTERRUPTED)


def _show(outcome: Outcome, as_json: bool, html: Path | None) -> None:
    if as_json:
        print(json.dumps(to_plain(outcome.to_json()), indent=2, ensure_ascii=False))
        return
    names = [
        name + (" (stopped, partial)" if result.partial else "")
        for name, result in outcome.results.items()
    ]
    _print_table(["", *names], outcome.figures())
    waits = outcome.queue_waits()
    if waits:
        print()
        _print_table(["wait p50 / p90 / p99", "jobs", *names], waits)
    if lines := outcome.never_placed():
        title = "Not placed until it was stopped" if outcome.partial else "Never placed"
        print("\n".join((f"\n{title}:", *lines)))
    for note in outcome.notes:
        print(f"\n{note}")
    if html is not None:
        print(f"\nThe report with charts is in {html}")


def _print_table(titles: list[str], rows: list[tuple[str, tuple[str, ...]]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left", overflow="fold")
    for name, cells in rows:
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C only asks to stop; the second is as everywhere."""
    asked = False
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals reach the main thread only
        return

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)
        print("Stopping; once more Ctrl-C ends it without a result.", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar on stderr, where a person sees it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield tell


def _history(since: str, save: Path | None) -> dict[str, Any]:
    """What the platform ran, with its nodes and queues as they are now."""
    now = datetime.now(UTC)
    with connect() as client:
        data = {
            "at": to_plain(now),
            "nodes": to_plain(list(client.nodes.iterate())),
            "queues": to_plain(list(client.queues.iterate())),
            "work": to_plain(list(client.scheduling.iterate_past_work(since=_moment(since, now)))),
        }
    if save is not None:
        _write(save, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    return data


def _moment(text: str, now: datetime) -> datetime:
    from datetime import timedelta

    from madang.cli._job_options import parse_duration
    from madang.core.errors import InvalidInput

    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return now - timedelta(seconds=parse_duration(text, "since"))
    try:
        return when.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(
            f"{text!r} is no time to begin at", field="since", hint="Write 7d, 12h or 2026-11-01."
        ) from None


def _write(path: Path, text: str) -> None:
    from madang.core.errors import InvalidInput

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"{path} can't be written: {error.strerror}", hint="Name another file."
        ) from None
