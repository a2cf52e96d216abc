"""From names to things: what a workload's environment, folders, datasets and code are, resolved
once at submission with the rights of who submits."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput
from madang.core.mount_targets import clash
from madang.core.states import WorkloadKind
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import code
from madang.server.workloads.places import CHECKPOINT_TARGET
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import WorkloadInputRow

CODE_TARGET = "/code"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountInput:
    """A folder as it will be mounted."""

    folder_id: str
    name: str
    source: str
    target: str
    read_only: bool
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """A version of a dataset (or a view of it), and the mount that has its files."""

    ref: str
    dataset_id: str
    version_id: str
    view_id: str | None
    mount: MountInput
    manifest_mount: MountInput
    entry: dict[str, Any]
    """What code in the task is told of it (the variable MADANG_DATASETS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedInputs:
    """What the names in a spec meant when it was submitted; later renames don't matter."""

    environment_id: str | None = None
    environment_name: str = ""
    environment_path: str = ""
    mounts: tuple[MountInput, ...] = ()
    datasets: tuple[DatasetInput, ...] = ()
    code_path: str = ""

    def to_json(self) -> dict[str, Any]:
        dumped: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return dumped

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ResolvedInputs:
        return _ADAPTER.validate_python(value)

    @property
    def gids(self) -> tuple[int, ...]:
        """The groups that open the mounted folders."""
        folders = [*self.mounts]
        for dataset in self.datasets:
            folders += [dataset.mount, dataset.manifest_mount]
        return tuple(sorted({mount.gid for mount in folders if mount.gid is not None}))

    def rows(self, workload_id: str, spec: WorkloadSpec) -> list[WorkloadInputRow]:
        """The lineage to keep: dataset versions, folders, code; each once."""
        found: dict[tuple[str, str], str] = {}
        for dataset in self.datasets:
            found[("dataset_version", dataset.version_id)] = dataset.ref
            found[("folder", dataset.mount.folder_id)] = dataset.mount.name
        for mount in self.mounts:
            found[("folder", mount.folder_id)] = mount.name
        if spec.code:
            found[("code", spec.code)] = CODE_TARGET
        return [
            WorkloadInputRow(workload_id=workload_id, kind=kind, input_id=input_id, ref=ref)
            for (kind, input_id), ref in found.items()
        ]


_ADAPTER = TypeAdapter(ResolvedInputs)


@dataclass(slots=True)
class _Targets:
    """Where things are mounted inside: what would lie at one place, or in another, is refused."""

    taken: dict[str, str] = field(default_factory=dict)

    def take(self, target: str, name: str) -> None:
        """The same thing at the same place again is fine."""
        for other_target, other in self.taken.items():
            if clash(target, other_target) and (target, name) != (other_target, other):
                raise InvalidInput(
                    f"{name!r} would be mounted at {target}, where {other!r} is at "
                    f"{other_target}: mounts can't lie in each other",
                    field="mounts",
                    hint="Give the folder another place: FOLDER:/mnt/ELSEWHERE.",
                )
        self.taken[target] = name


async def resolve_inputs(
    context: ServerContext, session: AsyncSession, principal: Principal, spec: WorkloadSpec
) -> ResolvedInputs:
    """Look everything up. Raises NotFound, Forbidden or InvalidInput as the domains do."""
    targets = _Targets()
    environment_id, environment_name, environment_path = await _environment(
        context, session, principal, spec
    )
    _take_what_the_platform_mounts(targets, spec, environment_name, environment_path)
    mounts = await _mounts(context, session, principal, spec, targets)
    datasets = await _datasets(context, session, principal, spec, targets)
    code_path = ""
    if spec.code:
        code_path = str(code.bundle_path(context, spec.code))
    return ResolvedInputs(
        environment_id=environment_id,
        environment_name=environment_name,
        environment_path=environment_path,
        mounts=mounts,
        datasets=datasets,
        code_path=code_path,
    )


def _take_what_the_platform_mounts(
    targets: _Targets, spec: WorkloadSpec, environment_name: str, environment_path: str
) -> None:
    targets.taken[sys.base_prefix] = "Python"
    if environment_path:
        targets.taken[environment_path] = environment_name
    if spec.code:
        targets.take(CODE_TARGET, "code")
    if spec.kind is not WorkloadKind.SERVICE:
        targets.take(CHECKPOINT_TARGET, "checkpoints")


async def _environment(
    context: ServerContext, session: AsyncSession, principal: Principal, spec: WorkloadSpec
) -> tuple[str | None, str, str]:
    if not spec.environment:
        return None, "", ""
    from madang.server.environments import service as environments

    row = await environments.resolve_environment(
        session, principal, spec.project_id, spec.environment
    )
    path = str(environments.environment_path(context, row))
    return row.id, f"{row.name}@{row.version}", path


async def _mounts(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    spec: WorkloadSpec,
    targets: _Targets,
) -> tuple[MountInput, ...]:
    if not spec.mounts:
        return ()
    from madang.server.storage.mounts import MountRequest, resolve_mounts

    requests = [MountRequest(mount.folder, mount.target, mount.read_only) for mount in spec.mounts]
    found = await resolve_mounts(context, session, principal, spec.project_id, requests)
    for mount in found:
        targets.take(mount.target, mount.name)
    return tuple(_mount_input(mount) for mount in found)


async def _datasets(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    spec: WorkloadSpec,
    targets: _Targets,
) -> tuple[DatasetInput, ...]:
    if not spec.datasets:
        return ()
    from madang.server.storage.datasets import resolve_dataset

    inputs = []
    for ref in spec.datasets:
        found = await resolve_dataset(context, session, principal, spec.project_id, ref)
        targets.take(found.mount.target, found.mount.folder_id)
        targets.take(found.manifest_mount.target, found.manifest_mount.name)
        inputs.append(
            DatasetInput(
                ref=ref,
                dataset_id=found.dataset_id,
                version_id=found.version_id,
                view_id=found.view_id,
                mount=_mount_input(found.mount),
                manifest_mount=_mount_input(found.manifest_mount),
                entry=found.entry,
            )
        )
    return tuple(inputs)


def _mount_input(mount: Any) -> MountInput:
    return MountInput(
        folder_id=mount.folder_id,
        name=mount.name,
        source=str(mount.source),
        target=mount.target,
        read_only=mount.read_only,
        gid=mount.gid,
    )
