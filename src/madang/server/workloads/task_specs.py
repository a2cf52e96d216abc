"""From a workload's wish to the order for one task: its variables, mounts, rank."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from madang.core.resources import MILLI
from madang.core.states import WorkloadKind
from madang.scheduling import Placement
from madang.server.cluster.protocol import DeviceShare, Mount, TaskSpec, TaskUser
from madang.server.context import ServerContext
from madang.server.environments.builder import LOCK_FILE
from madang.server.workloads.inputs import CODE_TARGET, MountInput, ResolvedInputs
from madang.server.workloads.places import CHECKPOINT_TARGET, checkpoint_path
from madang.server.workloads.spec import WorkloadSpec

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Member:
    """One task of a group that starts together. `local_rank` counts those of the group on the
    same node, `node_rank` the nodes."""

    task_id: str
    placement: Placement
    devices: tuple[DeviceShare, ...]
    rank: int
    local_rank: int
    local_world_size: int


@dataclass(frozen=True, slots=True)
class Gang:
    """What the tasks that start together share."""

    workload_id: str
    kind: WorkloadKind
    attempt: int
    project: str
    user: TaskUser
    spec: WorkloadSpec
    inputs: ResolvedInputs
    sandbox: str
    master_address: str
    master_port: int
    world_size: int


def members_of(
    spec: WorkloadSpec,
    placements: Sequence[Placement],
    task_ids: Sequence[str],
    devices: Sequence[tuple[DeviceShare, ...]],
) -> list[Member]:
    """Ranks in the order of the roles and of their replicas.

    A task that holds accelerators sees these alone, numbered from 0: for it the local rank, by
    which programs choose their device, is 0, as if it had a node of its own.
    """
    roles = [role.name for role in spec.roles]
    order = sorted(
        range(len(placements)),
        key=lambda i: (roles.index(placements[i].role), placements[i].replica),
    )
    on_node: dict[str, int] = {}
    for placement in placements:
        on_node[placement.node_id] = on_node.get(placement.node_id, 0) + 1
    seen: dict[str, int] = {}
    members = []
    for rank, position in enumerate(order):
        placement = placements[position]
        local_rank = seen.get(placement.node_id, 0)
        seen[placement.node_id] = local_rank + 1
        alone = bool(placement.devices)
        members.append(
            Member(
                task_id=task_ids[position],
                placement=placement,
                devices=devices[position],
                rank=rank,
                local_rank=0 if alone else local_rank,
                local_world_size=1 if alone else on_node[placement.node_id],
            )
        )
    return members


def task_spec(context: ServerContext, gang: Gang, member: Member) -> TaskSpec:
    """The order for one member, without its token."""
    spec = gang.spec
    role = spec.role(member.placement.role)
    mounts = _mounts(context, gang)
    own_network = gang.kind is WorkloadKind.SERVICE
    settings = context.settings
    return TaskSpec(
        task_id=member.task_id,
        workload_id=gang.workload_id,
        attempt=gang.attempt,
        role=role.name,
        index=member.placement.replica,
        command=role.command,
        environment_variables=_variables(context, gang, member),
        working_directory=_working_directory(gang),
        user=gang.user,
        cpu_milli=role.resources.cpu_milli,
        memory_bytes=role.resources.memory_bytes,
        devices=member.devices,
        mounts=mounts,
        sandbox=gang.sandbox,
        network_group=member.task_id if own_network else f"{gang.workload_id}.{gang.attempt}",
        api_token="",
        app_port=role.app_port,
        environment_path=gang.inputs.environment_path,
        environment_name=gang.inputs.environment_name,
        time_limit_s=spec.time_limit_s,
        grace_s=settings.grace_s if spec.grace_s is None else spec.grace_s,
        log_bytes=settings.task_log_bytes,
        log_files=settings.task_log_files,
        on_node_lost=spec.on_node_lost,
    )


def _mounts(context: ServerContext, gang: Gang) -> tuple[Mount, ...]:
    inputs = gang.inputs
    folders = [*inputs.mounts]
    for dataset in inputs.datasets:
        folders += [dataset.mount, dataset.manifest_mount]
    mounts = {
        mount.target: Mount(mount.source, mount.target, mount.read_only, mount.name)
        for mount in folders
    }
    if inputs.code_path:
        mounts[CODE_TARGET] = Mount(inputs.code_path, CODE_TARGET, True, "code")
    if gang.kind is not WorkloadKind.SERVICE:
        source = str(checkpoint_path(context, gang.workload_id))
        mounts[CHECKPOINT_TARGET] = Mount(source, CHECKPOINT_TARGET, False, "checkpoints")
    return tuple(mounts.values())


def _working_directory(gang: Gang) -> str:
    if gang.spec.working_directory:
        return gang.spec.working_directory
    if gang.inputs.code_path:
        return _inside(gang, gang.inputs.code_path, CODE_TARGET)
    return ""


def _inside(gang: Gang, source: str, target: str) -> str:
    """Where a task finds a mount: without a sandbox nothing is mounted, it is where it lies."""
    return source if gang.sandbox == "none" else target


def _variables(context: ServerContext, gang: Gang, member: Member) -> dict[str, str]:
    role = gang.spec.role(member.placement.role)
    threads = max(1, -(-role.resources.cpu_milli // MILLI))
    whole_devices = role.resources.device_milli // MILLI
    variables = {
        # A task sees all of the machine's CPUs but may use its own only.
        "OMP_NUM_THREADS": str(threads),
        **gang.spec.environment_variables,
        "PYTHONUNBUFFERED": "1",
        "MASTER_ADDR": gang.master_address,
        "MASTER_PORT": str(gang.master_port),
        "WORLD_SIZE": str(gang.world_size),
        "RANK": str(member.rank),
        "LOCAL_RANK": str(member.local_rank),
        "LOCAL_WORLD_SIZE": str(member.local_world_size),
        # Defaults of torchrun: for it each task is a node of its own.
        "PET_MASTER_ADDR": gang.master_address,
        "PET_MASTER_PORT": str(gang.master_port),
        "PET_NNODES": str(gang.world_size),
        "PET_NODE_RANK": str(member.rank),
        "PET_NPROC_PER_NODE": str(max(1, whole_devices)),
        "MADANG_TASK_ID": member.task_id,
        "MADANG_WORKLOAD_ID": gang.workload_id,
        "MADANG_PROJECT": gang.project,
        "MADANG_ROLE": role.name,
        "MADANG_ATTEMPT": str(gang.attempt),
    }
    if gang.kind is not WorkloadKind.SERVICE:
        checkpoints = str(checkpoint_path(context, gang.workload_id))
        variables["MADANG_CHECKPOINT_DIR"] = _inside(gang, checkpoints, CHECKPOINT_TARGET)
    if gang.inputs.environment_path:
        variables["MADANG_ENVIRONMENT_LOCK"] = f"{gang.inputs.environment_path}/{LOCK_FILE}"
    if gang.inputs.datasets:
        variables["MADANG_DATASETS"] = json.dumps(_dataset_entries(gang))
    return variables


def _dataset_entries(gang: Gang) -> dict[str, object]:
    entries: dict[str, object] = {}
    for dataset in gang.inputs.datasets:
        entry = dict(dataset.entry)
        for key, mount in (("root", dataset.mount), ("manifest", dataset.manifest_mount)):
            entry[key] = _path_inside(gang, str(entry[key]), mount)
        entries[dataset.ref] = entry
    return entries


def _path_inside(gang: Gang, path: str, mount: MountInput) -> str:
    if gang.sandbox != "none":
        return path
    return mount.source + path.removeprefix(mount.target)
