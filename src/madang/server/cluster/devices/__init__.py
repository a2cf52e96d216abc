"""Accelerators of a node: one plug-in a maker, behind one interface."""

from __future__ import annotations

from madang.server.cluster.devices.base import DevicePlugin
from madang.server.cluster.devices.simulated import SimulatedDevices

__all__ = ["DevicePlugin", "SimulatedDevices", "device_plugins"]


def device_plugins(simulate_gpus: str) -> list[DevicePlugin]:
    """The plug-ins of this node. Simulated devices stand alone: a node that pretends has no real
    ones, so that nobody computes on a GPU by mistake. Raises InvalidInput for bad text."""
    from madang.server.cluster.devices.amd import AmdDevices
    from madang.server.cluster.devices.nvidia import NvidiaDevices

    if simulate_gpus:
        return [SimulatedDevices(simulate_gpus)]
    return [NvidiaDevices(), AmdDevices()]
