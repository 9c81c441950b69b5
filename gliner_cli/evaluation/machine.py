"""The machine: what it is, how fast it multiplies, and what a process took of it. Knows nothing of documents."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from gliner_cli._version import __version__

# The instructions that make a difference to a network.
_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_bf16", "amx_int8",
          "asimd", "bf16", "i8mm", "sve")  # fmt: skip
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "onnxruntime", "gliner", "gliner2", "fast-gliner", "spacy")
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTORCH_CUDA_ALLOC_CONF",
              "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")  # fmt: skip
_PROC = Path("/proc")


def card(command: str) -> dict[str, Any]:
    """Everything about this machine and environment that a number may depend on; None where it cannot be told."""
    return {
        "command": command,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": _flags(),
        "memory": _memory(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {"gliner-cli": __version__, **_versions()},
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        **_graphics(),
    }


def _processor() -> str:
    return _said("cpuinfo", r"model name\s*:\s*(.+)") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    there = set((_said("cpuinfo", r"(?:flags|Features)\s*:\s*(.+)") or "").split())
    return [flag for flag in _FLAGS if flag in there]


def _memory() -> int | None:
    """Bytes of main memory."""
    kilobytes = _said("meminfo", r"MemTotal:\s+(\d+)")
    return int(kilobytes) * 1024 if kilobytes else None


def _said(file: str, pattern: str) -> str | None:
    """What a file of /proc says; None where there is no /proc, or the process has gone."""
    try:
        found = re.search(pattern, (_PROC / file).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return found[1].strip() if found else None


def _versions() -> dict[str, str]:
    installed = {}
    for name in _PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _graphics() -> dict[str, Any]:
    import torch

    threads = {"threads": torch.get_num_threads()}
    if not torch.cuda.is_available():
        return {**threads, "gpu": None, "driver": None, "cuda": torch.version.cuda}
    seen = torch.cuda.get_device_properties(0)
    driver = _said("driver/nvidia/version", r"Kernel Module\s+(?:for \S+\s+)?(\S+)")
    gpu = {"name": seen.name, "memory": seen.total_memory}
    return {**threads, "gpu": gpu, "driver": driver, "cuda": torch.version.cuda}


# --- What a process took -------------------------------------------------------------------------------------------


def peak_memory() -> int | None:
    """The most bytes of main memory that this process held at once.

    From /proc where there is one: `ru_maxrss` of a process that was forked starts at what its parent held.
    """
    if kilobytes := _said("self/status", r"VmHWM:\s+(\d+)"):
        return int(kilobytes) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def graphics_peak() -> int | None:
    """The most bytes of graphics memory that tensors of this process held at once; None without CUDA."""
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


# --- How fast it multiplies ----------------------------------------------------------------------------------------


def matmul_speed(device: str = "cpu", size: int = 1024, seconds: float = 0.5) -> float:
    """Floating-point operations a second of the best of many fp32 matrix products on the threads torch uses here."""
    import torch

    left, right = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        torch.mm(left, right)
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best
