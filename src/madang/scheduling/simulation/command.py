"""What `madang simulate` does: reads a trace, runs it once for each scenario, reports.

`simulate(Options(...))` is the whole of it; the command line only parses and prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from madang.core.errors import InvalidInput
from madang.scheduling.model import Node, Policy
from madang.scheduling.ordering import ORDERS, TIME_SHARING
from madang.scheduling.placement import POLICIES
from madang.scheduling.simulation import (
    csv,
    history,
    html,
    kueue,
    openb,
    openb_files,
    philly,
    pollux_results,
)
from madang.scheduling.simulation.driver import Simulation, Timing
from madang.scheduling.simulation.report import Report, report
from madang.scheduling.simulation.summary import Row, figures, never_placed, queue_rows
from madang.scheduling.simulation.trace import Trace
from madang.scheduling.simulation.what_if import Changes, changed, changed_nodes

__all__ = ["FORMATS", "Changes", "Options", "Outcome", "Result", "simulate"]

FORMATS = ("openb", "pollux", "philly", "kueue", "history", "csv")
_WITHOUT_TRACE = ("openb", "pollux")
"""Formats with a simulation of their own."""
_MOST_ROWS = 30
MIXES = ("given", "learned")

Progress = Callable[[str, int, int], None]
Stop = Callable[[], bool]


class Result(Protocol):
    """One scenario's outcome."""

    @property
    def partial(self) -> bool: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Options:
    """As the command line's options. None in a time: what suits the format. `policies`,
    `orderings` and `migration_budgets`: every combination is a scenario; `compare` adds the
    unchanged trace."""

    format: str
    nodes: Path | None = None
    workloads: Path | None = None
    data: Any = None
    profiles: Path | None = None
    policies: tuple[str, ...] = ()
    orderings: tuple[str, ...] = ()
    migration_budgets: tuple[float, ...] = ()
    mix: str = "given"
    seed: int = 42
    inflate: float | None = None
    load: float = 0.85
    changes: Changes = field(default_factory=Changes)
    compare: bool = False
    grace_s: float | None = None
    start_s: float | None = None
    restart_s: float | None = None
    save_every_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all scenarios gave, by name, in the order in which they ran."""

    results: dict[str, Result]
    notes: tuple[str, ...] = ()
    """What to know about the trace before one believes the figures."""

    @property
    def partial(self) -> bool:
        return any(result.partial for result in self.results.values())

    def to_json(self) -> dict[str, Any]:
        """Of one scenario its figures; of several a list with their names."""
        notes = {"notes": list(self.notes)} if self.notes else {}
        if len(self.results) == 1:
            return {**next(iter(self.results.values())).to_json(), **notes}
        return {
            "scenarios": [
                {"scenario": name, **result.to_json()} for name, result in self.results.items()
            ],
            **notes,
        }

    @property
    def reports(self) -> list[Report]:
        return [result for result in self.results.values() if isinstance(result, Report)]

    def figures(self) -> list[Row]:
        """Rows for a table, one cell a scenario."""
        if self.reports:
            return figures(self.reports)
        plain = [_flat(result.to_json()) for result in self.results.values()]
        names = list(dict.fromkeys(name for values in plain for name in values))
        return [(name, tuple(values.get(name, "-") for values in plain)) for name in names]

    def queue_waits(self) -> list[Row]:
        """Rows for a table: how many jobs of a queue, then its waits in each scenario."""
        return queue_rows(self.reports)

    def never_placed(self) -> list[str]:
        """Lines that say which jobs were never placed, and why."""
        return never_placed(self.reports)

    def html(self) -> str:
        """A page with charts that needs nothing else."""
        if self.reports:
            return html.render(self.reports, self.notes)
        curves = {
            name: result for name, result in self.results.items() if hasattr(result, "curve")
        }
        if not curves:
            raise InvalidInput(
                "this format has no HTML report", hint="Use --json, or another format."
            )
        return html.render_arrivals(
            self.figures(), {name: dict(result.curve) for name, result in curves.items()}
        )


def simulate(
    options: Options, progress: Progress | None = None, stop: Stop | None = None
) -> Outcome:
    """Run every scenario; after `stop` said so, what there is until then is partial.

    Raises InvalidInput for files, names and values that can't be used.
    """
    _check(options)
    results: dict[str, Result] = {}
    trace = None if options.format in _WITHOUT_TRACE else read(options)
    for name, run in _scenarios(options, trace):
        tell = None if progress is None else _Told(progress, name)
        results[name] = run(tell, stop)
        if stop is not None and stop():
            break
    return Outcome(results, trace.notes if trace else ())


Run = Callable[["_Told | None", Stop | None], Result]


@dataclass(frozen=True, slots=True)
class _Told:
    progress: Progress
    name: str

    def __call__(self, done: int, total: int) -> None:
        self.progress(self.name, done, total)


def _scenarios(options: Options, trace: Trace | None) -> Iterator[tuple[str, Run]]:
    if trace is None:
        own = {"openb": _openb_scenarios, "pollux": _pollux_scenarios}
        yield from own[options.format](options)
        return
    if options.compare:
        yield "as it is", _run_of("as it is", trace, Policy(seed=options.seed), options)
    other = changed(trace, replace(options.changes, inflate=options.inflate or 1.0))
    policies: Sequence[str] = options.policies or (Policy().placement,)
    budgets = options.migration_budgets or (0.0,)
    for name, ordering, budget in product(policies, options.orderings or ("",), budgets):
        policy = Policy(placement=name, seed=options.seed, migration_budget=budget)
        named = ", ".join(part for part in (name, ordering, _budget_name(budget)) if part)
        chosen = other.with_ordering(ordering) if ordering else other
        yield named, _run_of(named, chosen, policy, options)


def _budget_name(budget: float) -> str:
    return f"moves {budget:.3g}" if budget else ""


def _run_of(name: str, trace: Trace, policy: Policy, options: Options) -> Run:
    def run(progress: _Told | None, stop: Stop | None) -> Result:
        simulation = Simulation(trace, policy, timing(options))
        return report(name, simulation.run(progress, stop))

    return run


def _openb_scenarios(options: Options) -> Iterator[tuple[str, Run]]:
    """Pods that never leave; of the what-ifs, those about nodes."""
    changes = options.changes
    if changes.queues or changes.settings or options.orderings:
        raise InvalidInput(
            "pods of openb wait in no queue", hint="Leave out --queues, --set and --ordering."
        )
    nodes = openb_files.read_nodes(_needed(options.nodes, "nodes"))
    pods = openb_files.read_pods(_needed(options.workloads, "workloads"))
    other = changed_nodes(tuple(nodes), changes)
    policies = options.policies or (Policy().placement,)
    choices = [
        (", ".join(part for part in (name, _budget_name(budget)) if part), name, other, budget)
        for name, budget in product(policies, options.migration_budgets or (0.0,))
    ]
    if options.compare:
        choices[:0] = [(f"{name}, as it is", name, tuple(nodes), 0.0) for name in policies]
    for name, policy, chosen, budget in choices:

        def run(
            progress: _Told | None,
            stop: Stop | None,
            policy: str = policy,
            chosen: tuple[Node, ...] = chosen,
            budget: float = budget,
        ) -> Result:
            return openb.replay_pods(
                chosen,
                pods,
                inflate=options.inflate or 1.3,
                seed=options.seed,
                policy=policy,
                mix=options.mix,
                migration_budget=budget,
                progress=progress,
                stop=stop,
            )

        yield name, run


def _pollux_scenarios(options: Options) -> Iterator[tuple[str, Run]]:
    if options.nodes or options.changes.any or options.compare or options.migration_budgets:
        raise InvalidInput(
            "Pollux's workloads have a cluster of their own: 16 nodes of 4 GPUs",
            hint="Compare policies: --policy shortest --policy goodput.",
        )
    workload = _needed(options.workloads, "workloads")
    for policy in (*options.policies, *options.orderings) or (pollux_results.POLICIES[0],):

        def run(progress: _Told | None, stop: Stop | None, policy: str = policy) -> Result:
            return pollux_results.replay(
                workload, options.profiles, policy=policy, progress=progress, stop=stop
            )

        yield policy, run


def _needed(path: Path | None, option: str) -> Path:
    if path is None:
        raise InvalidInput(f"there is no file of {option}", hint=f"Name it with --{option}.")
    return path


def timing(options: Options) -> Timing:
    """What was said, else what suits the format: Kueue's generator has no costs and loses the
    work of what it stops; elsewhere half a minute to save and half a minute to go on."""
    usual = Timing(save_every_s=None) if options.format == "kueue" else Timing(30.0, 0.0, 30.0)
    chosen = {
        name: value
        for name in ("grace_s", "start_s", "restart_s", "save_every_s")
        if (value := getattr(options, name)) is not None
    }
    return replace(usual, **chosen)


def read(options: Options) -> Trace:
    """The trace in its common form."""
    if options.data is not None:
        return history.from_json(options.data)
    workloads = _needed(options.workloads, "workloads")
    match options.format:
        case "kueue":
            trace = kueue.read(workloads)
        case "philly":
            trace = philly.read(workloads, options.load)
        case "history":
            trace = history.read(workloads)
        case _:
            return csv.read(workloads, _needed(options.nodes, "nodes"))
    if options.nodes is not None:
        trace = replace(trace, nodes=csv.read_nodes(options.nodes))
    return trace


def _check(options: Options) -> None:
    _known("format", (options.format,), FORMATS)
    _known("mix", (options.mix,), MIXES)
    if options.format == "pollux":
        _known("policy", (*options.policies, *options.orderings), pollux_results.POLICIES)
    else:
        _known("ordering", options.orderings, (*ORDERS, *sorted(TIME_SHARING)))
        _known("policy", options.policies, POLICIES)
    for name, value, least, most in (
        ("inflate", options.inflate, 0.01, 100.0),
        ("load", options.load, 0.01, 100.0),
        ("seed", options.seed, 0, 2**32 - 1),
        ("grace", options.grace_s, 0, 1e8),
        ("start-delay", options.start_s, 0, 1e8),
        ("restart-cost", options.restart_s, 0, 1e8),
        ("save-every", options.save_every_s, 0, 1e8),
        *(("migration-budget", budget, 0, 1) for budget in options.migration_budgets),
    ):
        if value is not None and not least <= value <= most:
            raise InvalidInput(
                f"--{name} {value:g} is out of range", hint=f"From {least:g} to {most:g}."
            )


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"{name!r} is not a {what}", field=what, hint=f"There are {', '.join(known)}."
            )


def _flat(plain: dict[str, Any]) -> dict[str, str]:
    """What of a result fits into a table: `allocation_at 100` for a value within a value."""
    cells: dict[str, str] = {}
    for name, value in plain.items():
        if isinstance(value, dict) and len(value) <= _MOST_ROWS:
            cells |= {f"{name} {key}": _cell(item) for key, item in value.items()}
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            cells[name] = _cell(value)
    return cells


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
