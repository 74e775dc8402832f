"""What the machine is doing, under the names that MLflow's own page for it knows."""

from __future__ import annotations

import contextlib
import shutil

import psutil
import pynvml

__all__ = ["measure"]

_MEGABYTE = 1e6

psutil.cpu_percent()  # the first call begins what the next one tells of


def measure() -> dict[str, float]:
    """Numbers by name: loads in percent, sizes in megabytes. Counters of the network are since the machine's start."""
    memory, disk, network = psutil.virtual_memory(), shutil.disk_usage("/"), psutil.net_io_counters()
    found = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": memory.used / _MEGABYTE,
        "system/system_memory_usage_percentage": memory.percent,
        "system/disk_usage_percentage": 100 * disk.used / disk.total,
        "system/disk_usage_megabytes": disk.used / _MEGABYTE,
        "system/disk_available_megabytes": disk.free / _MEGABYTE,
    }
    if network is not None:
        found["system/network_receive_megabytes"] = network.bytes_recv / _MEGABYTE
        found["system/network_transmit_megabytes"] = network.bytes_sent / _MEGABYTE
    return {**found, **_gpus()}


def _gpus() -> dict[str, float]:
    found: dict[str, float] = {}
    with contextlib.suppress(pynvml.NVMLError):  # no driver, or one that does not tell
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):
                device = pynvml.nvmlDeviceGetHandleByIndex(number)
                memory = pynvml.nvmlDeviceGetMemoryInfo(device)
                found[f"system/gpu_{number}_memory_usage_megabytes"] = int(memory.used) / _MEGABYTE
                found[f"system/gpu_{number}_memory_usage_percentage"] = 100 * int(memory.used) / int(memory.total)
                load = pynvml.nvmlDeviceGetUtilizationRates(device)
                found[f"system/gpu_{number}_utilization_percentage"] = float(load.gpu)
    return found
