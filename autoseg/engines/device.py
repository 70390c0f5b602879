"""The one place that knows about devices: which there are, their precision, their memory, and how a network lies on them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from torch import Tensor, nn

from autoseg.errors import OutOfMemory, PlanError
from autoseg.networks.normalise import channels_last
from autoseg.parallel import available_cores
from autoseg.records import MachineProfile

DeviceName = Literal["cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16", "float16"]
MemoryFormat = Literal["contiguous", "channels_last"]

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h

MEMORY_MESSAGES = (
    "out of memory",
    "can't alloc",
    "not enough memory",
    "could not create a primitive",
    "failed to allocate",  # OpenVINO and ONNX Runtime
)


def pick_device(name: str = "auto") -> torch.device:
    """The device of this name (`cuda:1`: the second GPU); `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        PlanError: the device is not there.
    """
    here = [device for device in ("cuda", "mps", "cpu") if is_present(device)]
    if name == "auto":
        name = here[0]
    kind, _, index = name.partition(":")
    if kind == "cuda" in here and index and int(index) >= torch.cuda.device_count():
        raise PlanError(f"there is no device {name}; there are {torch.cuda.device_count()} GPUs, from cuda:0 on")
    if kind not in here:
        found = ", ".join(here)
        raise PlanError(
            f"device {name} is not available here; found: {found}. Take --device {here[0]}; to plan for a machine that is "
            "not here, give its --memory, too"
        )
    return torch.device(name)


def is_present(name: str) -> bool:
    """Whether this machine has the device; of `cuda:1` whether it has any GPU."""
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return here.get(name.partition(":")[0], False)


def pick_precision(device: torch.device) -> Precision:
    """bfloat16 where the device computes in it, float16 (with loss scaling) on older CUDA devices, else float32."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device.type == "cpu":
        return "bfloat16" if _cpu_has_bfloat16() else "float32"
    return "float32"


def describe_machine(device: torch.device) -> MachineProfile:
    """Device, name, cores, memory and precision; the throughput is left to the probe."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
    else:
        name, memory = platform.processor() or platform.machine(), available_memory()
    return MachineProfile(
        device=device.type,  # type: ignore[arg-type]  # one of DeviceName by pick_device
        name=name,
        cores=available_cores(),
        memory_bytes=memory,
        precision=pick_precision(device),
    )


def available_memory() -> int:
    """Bytes of main memory that can be used without swapping."""
    return int(psutil.virtual_memory().available)


@dataclass
class Peak:
    """Bytes that the work inside `peak_memory` took at most, beyond what was held before; None where it cannot be told."""

    bytes: int | None = None


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Watch how much memory the work inside takes; on Linux and CUDA only, else `bytes` stays None."""
    peak = Peak()
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    else:
        return_freed_memory()
        before = _resident_bytes("VmRSS") if _reset_resident_peak() else 0
    yield peak
    after = torch.cuda.max_memory_allocated(device) if cuda else _resident_bytes("VmHWM")
    peak.bytes = max(0, after - before) if before and after else None


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given; nothing to do on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def place(network: nn.Module, device: torch.device, memory_format: MemoryFormat | None = None) -> nn.Module:
    """Move a network, and lay its weights as `memory_format` says; the images must lie in the same way, see `laid`.

    None: channels-last for 2D networks on CUDA, as is usual there with low precision, else contiguous.
    """
    network = network.to(device)
    plane = any(isinstance(module, nn.Conv2d) for module in network.modules())
    if memory_format is None and device.type == "cuda" and plane:
        memory_format = "channels_last"
    wanted = {"channels_last": channels_last(2 if plane else 3), "contiguous": torch.contiguous_format}
    if memory_format is not None:
        network.to(memory_format=wanted[memory_format])  # type: ignore[call-overload]  # missing in torch's annotations
    return network


def laid(images: Tensor, memory_format: MemoryFormat) -> Tensor:
    """`(B, C, *spatial)` images in memory as a network of this format takes them."""
    if memory_format == "contiguous":
        return images.contiguous()
    return images.contiguous(memory_format=channels_last(images.ndim - 2))


def keep_freed_memory() -> None:
    """Tell the C library (glibc) to keep freed memory for the next tensors instead of handing it back to the system.

    Large tensors are otherwise mapped and cleared by the system page by page every time one is made: on 2 cores that took a
    third of a training step. For the process's whole life; without effect on other C libraries.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)  # no mappings of their own for large blocks
        library.mallopt(M_TRIM_THRESHOLD, -1)  # never
        library.mallopt(M_TOP_PAD, 64 * 2**20)


@contextlib.contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Only algorithms that repeat bit by bit on the same machine, while the body runs.

    On CUDA cuBLAS needs CUBLAS_WORKSPACE_CONFIG for this, which the command line sets; torch says so where it is missing.
    """
    if not wanted:
        yield
        return
    before, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Mixed precision for the forward pass; does nothing for float32."""
    return torch.autocast(device.type, dtype=getattr(torch, precision), enabled=precision != "float32")


def release_memory(device: torch.device) -> None:
    """Hand memory that is held but not used back to the device, after it did not suffice."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device ran out of memory; the CPU (OpenVINO, too) and MPS say so only in the words of a RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in MEMORY_MESSAGES)


@contextlib.contextmanager
def naming_memory_errors(cure: str) -> Iterator[None]:
    """Turn a device's out-of-memory error into `OutOfMemory`, which says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error) and not isinstance(error, OutOfMemory):
            raise OutOfMemory(f"the device's memory did not suffice; {cure}") from error
        raise


def return_freed_memory() -> None:
    """Hand memory that was freed but kept by the allocator back to the system (glibc), so that the next peak counts it again."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _reset_resident_peak() -> bool:
    """Set the process's largest resident size back to the present one (Linux 4.0 and later); False where that is not possible."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _resident_bytes(field: str) -> int:
    """A field of this process's status in bytes; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; emulation is slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(key, False) for key in ("avx512_bf16", "amx_bf16", "bf16"))
