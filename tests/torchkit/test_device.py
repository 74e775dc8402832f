import pytest
import torch

from visiontrain.errors import DeviceError, SpecError
from visiontrain.torchkit import device, precision
from visiontrain.torchkit.device import NvidiaDriver, describe_cpu, describe_devices, find_nvidia_driver, resolve_device
from visiontrain.torchkit.precision import autocast, computes_bf16, resolve_precision

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "find_nvidia_driver", lambda: None)


@pytest.fixture
def unusable_gpu(no_gpu, monkeypatch):
    monkeypatch.setattr(device, "find_nvidia_driver", lambda: NvidiaDriver("470.57.02"))


def machine_with_gpu(root):
    (root / "dev").mkdir()
    (root / "dev" / "nvidia0").touch()
    (root / "proc/driver/nvidia").mkdir(parents=True)
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue Jul 13 16:14:05 UTC 2021\nGCC version: 9\n"
    (root / "proc/driver/nvidia/version").write_text(line)


def test_the_driver_is_read(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert find_nvidia_driver(tmp_path) is None
    machine_with_gpu(tmp_path)
    assert find_nvidia_driver(tmp_path) == NvidiaDriver("470.57.02")


@pytest.mark.parametrize("hidden", ["", "-1", "-1,0"])
def test_a_hidden_gpu_does_not_count(tmp_path, monkeypatch, hidden):
    machine_with_gpu(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert find_nvidia_driver(tmp_path) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert find_nvidia_driver(tmp_path) is not None


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu():
    assert resolve_device("auto") == resolve_device("cpu") == CPU
    for name in ("cuda", "cuda:0", "cuda:7", "mps"):
        with pytest.raises(DeviceError, match=name) as caught:
            resolve_device(name)
        assert caught.value.instruction == "There is: cpu."
    for name in ("gpu", "", "cuda:x", "meta", "xpu"):
        with pytest.raises(DeviceError, match="is no device"):
            resolve_device(name)


@pytest.mark.usefixtures("unusable_gpu")
@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:1"])
def test_a_gpu_that_torch_cannot_use_is_an_error(name):
    with pytest.raises(DeviceError, match=r"470\.57\.02") as caught:
        resolve_device(name)
    assert torch.__version__ in caught.value.reason
    assert "--device cpu" in caught.value.instruction
    assert "torch_backend" in caught.value.instruction
    assert resolve_device("cpu") == CPU


def test_a_gpu_that_this_build_has_no_code_for_is_unusable(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", fail)
    monkeypatch.setattr(device, "find_nvidia_driver", lambda: NvidiaDriver(None))
    with pytest.raises(DeviceError, match="did not answer"):
        resolve_device("auto")


def test_descriptions():
    assert describe_devices()[-1].name == "cpu"
    cpu = describe_cpu()
    assert cpu.threads == torch.get_num_threads()
    assert cpu.capability == torch.backends.cpu.get_cpu_capability()


def test_precision(monkeypatch):
    assert resolve_precision("auto", CPU) == ("bf16" if computes_bf16(CPU) else "fp32")
    assert resolve_precision("bf16", CPU) == "bf16"
    with pytest.raises(SpecError, match="fp16"):
        resolve_precision("fp16", CPU)
    monkeypatch.setattr(precision, "_probe", lambda name: False)
    assert resolve_precision("auto", CPU) == "fp32"


def test_autocast():
    x = torch.ones(2, 2)
    with autocast(CPU, "bf16"):
        assert (x @ x).dtype == torch.bfloat16
    with autocast(CPU, "fp32"):
        assert (x @ x).dtype == torch.float32
