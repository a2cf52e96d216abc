"""Node and pod lists of the Alibaba GPU trace of 2023."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from madang.core.errors import InvalidInput
from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Device, Node
from madang.scheduling.simulation.table import read_table

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")

_GPU = "gpu"
_MIB = 1 << 20
_MOST_GPUS = 64
_MOST_CPU_MILLI = 4096 * MILLI
_MOST_MEMORY_MIB = 64 << 20
"""More than any machine has: the unit is wrong."""


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    need: Resources

    @property
    def gpu_milli(self) -> int:
        return self.need.device_milli

    @property
    def gpu_milli_each(self) -> int:
        """Of one GPU."""
        return min(MILLI, self.need.device_milli)


def read_nodes(path: Path) -> list[Node]:
    """A row a node: name, thousandths of CPUs, MiB, number of GPUs, their model. Raises
    InvalidInput naming file, row and column."""
    nodes = []
    for row in read_table(path, NODE_COLUMNS):
        name = row.required("sn")
        gpus = row.whole("gpu", most=_MOST_GPUS, unit="GPUs")
        model = row.required("model") if gpus else ""
        cpu = row.whole(
            "cpu_milli", least=MILLI, most=_MOST_CPU_MILLI, unit="thousandths of a CPU"
        )
        memory = row.whole("memory_mib", least=1, most=_MOST_MEMORY_MIB, unit="MiB")
        devices = tuple(Device(_GPU, index, model, 0) for index in range(gpus))
        nodes.append(Node(name, name, cpu, memory * _MIB, devices))
    if not any(node.devices for node in nodes):
        raise InvalidInput(f"{path.name} has no GPUs", hint="Its column gpu counts them.")
    return nodes


def read_pods(path: Path) -> list[Pod]:
    """A row a pod: name, thousandths of CPUs, MiB, number of GPUs, thousandths of each, and, if
    there is a column gpu_spec, the models that would do (`V100M16|V100M32`; empty: any). Raises
    InvalidInput naming file, row and column."""
    pods = []
    for row in read_table(path, POD_COLUMNS):
        count = row.whole("num_gpu", most=_MOST_GPUS, unit="GPUs")
        least = MILLI if count > 1 else min(1, count)
        each = row.whole("gpu_milli", 0, least=least, most=MILLI, unit="thousandths of a GPU")
        models = [name.strip() for name in row.text("gpu_spec").split("|") if name.strip()]
        cpu = row.whole("cpu_milli", most=_MOST_CPU_MILLI, unit="thousandths of a CPU")
        memory = row.whole("memory_mib", most=_MOST_MEMORY_MIB, unit="MiB")
        need = Resources(
            cpu_milli=cpu,
            memory_bytes=memory * _MIB,
            device_kind=_GPU if count else "",
            device_milli=count * each,
            device_models=tuple(models) if count else (),
        )
        pods.append(Pod(row.required("name"), need))
    if not any(pod.gpu_milli for pod in pods):
        raise InvalidInput(
            f"{path.name} has no pods that ask for GPUs", hint="Its column num_gpu counts them."
        )
    return pods
