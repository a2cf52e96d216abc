"""`madang scheduling …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from madang.cli._output import JsonOption, connect, print_item

if TYPE_CHECKING:
    from madang.schemas.scheduling import SchedulingPolicy

app = typer.Typer(help="How the scheduler decides, cluster-wide.", no_args_is_help=True)


@app.command("show")
def show_policy(as_json: JsonOption = False) -> None:
    """Show the policy that decides now."""
    with connect() as client:
        policy = client.scheduling.policy()
    _print(policy, as_json)


@app.command("set")
def set_policy(
    placement: Annotated[str | None, typer.Option(help="Where things go: default, fgd, …")] = None,
    pool_placement: Annotated[
        list[str] | None,
        typer.Option(help="Another one for a pool: POOL=PLACEMENT; POOL= takes it away."),
    ] = None,
    preemption: Annotated[
        bool | None, typer.Option(help="Whether anything may be stopped for others.")
    ] = None,
    migration_budget: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Part of the running tasks that may be moved within an hour so that others "
            "fit: 0.02; 0: none.",
        ),
    ] = None,
    round_: Annotated[
        str | None, typer.Option("--round", help="Queues that share in time decide so often: 60s.")
    ] = None,
    half_life: Annotated[
        str | None, typer.Option(help="After so long, use counts half: 7d.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change the policy (administrators); what is not named stays as it is."""
    from madang.cli._job_options import parse_duration

    with connect() as client:
        now = client.scheduling.policy()
        settings: dict[str, Any] = {
            "placement": now.placement if placement is None else placement,
            "pool_placement": _pools(now.pool_placement, pool_placement or []),
            "seed": now.seed,
            "round_s": now.round_s if round_ is None else parse_duration(round_, "round"),
            "half_life_s": (
                now.half_life_s if half_life is None else parse_duration(half_life, "half-life")
            ),
            "migration_budget": (
                now.migration_budget if migration_budget is None else migration_budget
            ),
            "preemption": now.preemption if preemption is None else preemption,
        }
        policy = client.scheduling.set_policy(**settings)
    _print(policy, as_json)


def _pools(now: dict[str, str], texts: list[str]) -> dict[str, str]:
    pools = dict(now)
    for text in texts:
        pool, separator, placement = text.partition("=")
        if not separator or not pool:
            raise typer.BadParameter(
                f"{text!r} is not POOL=PLACEMENT", param_hint="pool-placement"
            )
        if placement:
            pools[pool] = placement
        else:
            pools.pop(pool, None)
    return pools


def _print(policy: SchedulingPolicy, as_json: bool) -> None:
    budget = policy.migration_budget
    pools = ", ".join(f"{pool}: {name}" for pool, name in sorted(policy.pool_placement.items()))
    print_item(
        policy,
        as_json=as_json,
        lines=[
            ("placement", policy.placement),
            ("in pools", pools),
            ("preemption", "yes" if policy.preemption else "no"),
            (
                "moves",
                f"at most {budget:.3g} of the running tasks within an hour" if budget else "none",
            ),
            ("rounds", f"every {policy.round_s:g} s"),
            ("use counts half after", f"{policy.half_life_s:g} s"),
        ],
    )
