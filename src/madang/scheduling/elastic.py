"""Elastic gangs: what nobody else can use lets those grow that run on fewer replicas than they
could use. They give it back as soon as anybody may have it (`preemption`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from madang.core.resources import Resources
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import Action, Amounts, Group, Placement, Resize, Start, Where
from madang.scheduling.ordering import TIME_SHARING
from madang.scheduling.placement import Cluster, place, undo
from madang.scheduling.runs import Run


def grow(ledger: Ledger, idle: Cluster, actions: Sequence[Action]) -> tuple[list[Action], bool]:
    """The actions, with what is idle given out, and whether anything was: one replica at a time
    to each in turn, to those first whose queue holds least. What starts now starts larger; others
    are resized.

    idle: what is free and kept for nobody; where it is not the ledger's own cluster, both are
    changed.
    """
    growing = [run for run in ledger.runs.resizable.values() if _may_grow(ledger, run)]
    growing.sort(key=lambda run: _turn(ledger, run))
    added: dict[str, list[Placement]] = {}
    full: set[tuple[Resources, Where]] = set()
    while growing:
        growing = [run for run in growing if _grow_once(ledger, idle, run, added, full)]
    grew = bool(added)
    result: list[Action] = []
    for action in actions:
        if isinstance(action, Start) and action.request.id in added:
            more = added.pop(action.request.id)
            action = replace(action, placements=(*action.placements, *more))
        elif isinstance(action, Resize) and action.request_id in added:
            action = replace(action, added=(*action.added, *added.pop(action.request_id)))
        result.append(action)
    for request_id, placements in added.items():
        run = ledger.runs.get(request_id)
        assert run is not None
        result.append(Resize(request_id, run.request.owner, tuple(placements)))
    return result, grew


def _may_grow(ledger: Ledger, run: Run) -> bool:
    if ledger.tree.leaf(run.request.queue).queue.ordering in TIME_SHARING:
        return False  # `rounds` decides
    most = sum(group.replicas_max for group in run.request.groups)
    return not run.leaving and 0 < len(run.keys) < most


def _turn(ledger: Ledger, run: Run) -> tuple[float, int, int, str]:
    request = run.request
    leaf = ledger.tree.leaf(request.queue)
    return (leaf.share / leaf.queue.weight, -request.priority, request.order, request.id)


def _grow_once(
    ledger: Ledger,
    idle: Cluster,
    run: Run,
    added: dict[str, list[Placement]],
    full: set[tuple[Resources, Where]],
) -> bool:
    """Whether it got one more replica of some group."""
    request = run.request
    for group in request.groups:
        number = next(_free_numbers(ledger, run, group), None)
        sort = (group.resources, group.where)
        if number is None or sort in full:
            continue
        least = ledger.meter.least(group.resources)
        if not _may_have(ledger, run, least):
            continue
        one = replace(group, replicas_min=1, replicas_max=1, first=number)
        attempt = place((one,), idle, request.work, _near(ledger, run, group))
        if not attempt.complete:
            if not group.where.together and not group.where.apart:
                full.add(sort)
            continue
        exactly = ledger.amounts_of((one,), attempt.placements)
        if exactly != least and not _may_have(ledger, run, exactly):
            undo(attempt, (one,), idle)
            continue
        if idle is not ledger.cluster:
            for placement in attempt.placements:
                ledger.cluster.take(placement.node_id, group.resources, placement.devices)
        ledger.grow(run, (one,), attempt.placements)
        added.setdefault(request.id, []).extend(attempt.placements)
        return True
    return False


def _may_have(ledger: Ledger, run: Run, amounts: Amounts) -> bool:
    request = run.request
    if ledger.limits.spent(request.user, request.project, amounts, new=False) is not None:
        return False
    leaf = ledger.tree.leaf(request.queue)
    return ledger.tree.full(leaf, amounts, returnable=True) is None


def _free_numbers(ledger: Ledger, run: Run, group: Group) -> Iterator[int]:
    for number in range(group.first, group.first + group.replicas_max):
        if f"{run.request.owner}/{group.role}/{number}" not in ledger.held:
            yield number


def _near(ledger: Ledger, run: Run, group: Group) -> Collection[str] | None:
    """Where one more replica may go, given where the others are; None: anywhere."""
    where = group.where
    if not where.together and not where.apart:
        return None
    cluster = ledger.cluster
    used = {ledger.held[key].node_id for key in run.replicas(group.role)}
    racks = {cluster.rack_of(node_id) for node_id in used}
    left = set(cluster.node_ids)
    if where.together == "node":
        left &= used
    elif where.together == "rack":
        left &= {node_id for rack in racks for node_id in cluster.ids_in_rack(rack)}
    if where.apart == "node":
        left -= used
    elif where.apart == "rack":
        left -= {node_id for rack in racks for node_id in cluster.ids_in_rack(rack)}
    return left
