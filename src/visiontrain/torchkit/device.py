"""Which device to compute on, and what there is to choose from."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

from visiontrain.errors import DeviceError
from visiontrain.protocol.messages import Cpu, Device

__all__ = ["NvidiaDriver", "describe_cpu", "describe_devices", "find_nvidia_driver", "resolve_device"]

#: What of the processor decides which kernels oneDNN and PyTorch take.
_CPU_FEATURES = ("amx_tile", "amx_bf16", "avx512_bf16", "avx512f", "avx2")


@dataclass(frozen=True)
class NvidiaDriver:
    """An NVIDIA GPU's driver, seen without torch's help. `version` is None where it can't be read."""

    version: str | None


def find_nvidia_driver(root: Path = Path("/")) -> NvidiaDriver | None:
    """The driver of a GPU that this process is meant to see, or None.

    A GPU hidden with ``CUDA_VISIBLE_DEVICES`` (empty or -1) was hidden on purpose and does not count.

    Args:
        root: Where ``/proc`` and ``/dev`` are looked for.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.split(",")[0].strip() in ("", "-1"):
        return None
    # The kernel module can be loaded on a machine (or seen in a container) that was given no GPU: a device node counts.
    nodes = [*(root / "dev").glob("nvidia[0-9]*"), *(root / "dev").glob("dxg")]
    if not nodes:
        return None
    return NvidiaDriver(_version_from_proc(root / "proc/driver/nvidia/version") or _version_from_tool())


def _version_from_proc(path: Path) -> str | None:
    try:
        words = path.read_text("utf-8", errors="replace").splitlines()[0].split()
    except (OSError, IndexError):
        return None
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def _version_from_tool() -> str | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        done = subprocess.run(
            [tool, "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.split()), None)


def resolve_device(name: str) -> torch.device:
    """The device that a person means by `name`: auto, cpu, cuda, cuda:N or mps.

    ``auto`` is the first usable CUDA GPU, else Apple's, else the CPU. A GPU that is there but can't be used is never
    passed over in silence.

    Raises:
        DeviceError: the device does not exist, or torch can't use it.
    """
    if name == "cpu":
        return torch.device("cpu")
    if name == "auto":
        return _automatic()
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "mps" and device.index in (None, 0):
        if torch.backends.mps.is_available():
            return torch.device("mps")
    elif device.type == "cuda":
        count = torch.cuda.device_count() if _cuda_usable() else 0
        if count == 0 and (driver := find_nvidia_driver()) is not None:
            raise _unusable_gpu(driver)
        if (device.index or 0) < count:
            return torch.device("cuda", device.index or 0)
    else:
        raise DeviceError(f"{name!r} is no device", instruction="Give auto, cpu, cuda, cuda:N or mps.")
    found = ", ".join(d.name for d in describe_devices())
    raise DeviceError(f"there is no device {name!r} that this torch can use here", instruction=f"There is: {found}.")


def _automatic() -> torch.device:
    if _cuda_usable():
        return torch.device("cuda", 0)
    if (driver := find_nvidia_driver()) is not None:
        raise _unusable_gpu(driver)
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


def _cuda_usable() -> bool:
    if not torch.cuda.is_available():
        return False
    try:
        # is_available only counts devices: a kernel that this build holds no code for fails here.
        torch.zeros(1, device="cuda:0").add_(1).item()
    except RuntimeError:
        return False
    return True


def _unusable_gpu(driver: NvidiaDriver) -> DeviceError:
    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    version = f"its driver is {driver.version}" if driver.version else "its driver did not answer"
    return DeviceError(
        f"there is an NVIDIA GPU that this environment's torch {torch.__version__} can't use: {version}, "
        f"torch was built {build}",
        instruction="Upgrade the driver, or build the environment with another torch_backend (one for the driver's "
        "CUDA version), or train on the CPU with --device cpu.",
    )


def describe_devices() -> tuple[Device, ...]:
    """What torch can compute on, the best first."""
    found: list[Device] = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            uuid = getattr(properties, "uuid", None)  # not every build of torch tells it
            found.append(Device(f"cuda:{index}", properties.name, properties.total_memory, str(uuid) if uuid else None))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU"))
    return (*found, Device("cpu", _cpu_name()))


def describe_cpu() -> Cpu:
    """Threads and instruction set: what decides the last bits of a result on the CPU."""
    return Cpu(
        threads=torch.get_num_threads(),
        capability=torch.backends.cpu.get_cpu_capability(),
        onednn_max_cpu_isa=os.environ.get("ONEDNN_MAX_CPU_ISA"),
        features=tuple(name for name in _CPU_FEATURES if name in _cpu_flags()),
    )


def _cpu_info(key: str) -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            return next((line.partition(":")[2].strip() for line in file if line.split(":")[0].strip() == key), "")
    except OSError:
        return ""


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpu_info("flags").split())


def _cpu_name() -> str:
    return _cpu_info("model name")
