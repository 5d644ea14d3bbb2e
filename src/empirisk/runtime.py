"""Device, processes, precision, generators, signals: the only place that knows torch.distributed."""

import contextlib
import functools
import os
import platform
import signal
import threading
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from empirisk.errors import INTERRUPTED, RUN, TERMINATED, Wrong, handed_over

DTYPES = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def rank() -> int:
    """Number of this process among those that train together."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def device_named(name: str = "auto") -> torch.device:
    """The device by name; auto: a GPU where there is one. `Wrong` (exit 2) if it is unknown or not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise Wrong(f"device {name!r} is not there", remedy="--device cpu, cuda, cuda:1, mps or auto") from error
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return device


def computes_in_bf16(device: torch.device) -> bool:
    """Whether bf16 is arithmetic of the device and not an emulation."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def precision_of(name: str, device: torch.device, model: nn.Module) -> str:
    """`auto` by a fixed rule: bf16 where the device computes in it and the model has convolutions."""
    if name != "auto":
        return name
    convolves = any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules())
    return "bf16" if convolves and computes_in_bf16(device) else "float32"


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were computed on; no names of machine, person or place."""
    gpu = device.type == "cuda"
    processor = torch.cuda.get_device_name(device) if gpu else torch.backends.cpu.get_cpu_capability()
    named = {"system": platform.system(), "python": platform.python_version(), "processor": processor}
    return named | {"device": device.type, "processes": world()}


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on the device; where its norms work so, channels last, which is faster on a CPU: BatchNorm, InstanceNorm."""
    model.to(device)
    if any(
        isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d) or getattr(m, "channels_last", False) for m in model.modules()
    ):
        deep = any(isinstance(m, nn.Conv3d) for m in model.modules())
        model.to(memory_format=torch.channels_last_3d if deep else torch.channels_last)
    return model


def threads_of(processes: int = 1) -> int:
    """Half the cores, shared by the processes: a thread on every core waits for the one that something else delays."""
    return max(1, (os.cpu_count() or 1) // 2 // processes)


def choices_of_threads(device: torch.device) -> list[int]:
    """What a timed run may try: the rule's number, and a thread on every core; a number that the user gave is the only one."""
    given = "OMP_NUM_THREADS" in os.environ and os.environ.get("EMPIRISK_THREADS") != "free"
    if given or device.type != "cpu":
        return [torch.get_num_threads()]
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world()))
    return sorted({threads_of(local), max(1, (os.cpu_count() or 1) // local)})


@contextlib.contextmanager
def together(device: str = "auto") -> Iterator[torch.device]:
    """Join the processes that torchrun started, if it did; each takes its share of the threads by a fixed rule."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = device_named(device)
    started = size > 1 and not dist.is_initialized()
    threads = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads_of(int(os.environ.get("LOCAL_WORLD_SIZE", size))))
    if started:
        dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield chosen
        wait()  # a process that leaves first would break what the others still send
    except Wrong as wrong:
        handed_over(wrong)  # before the others see that this one has left
        raise
    except RuntimeError as error:
        if not started or not ("gloo" in str(error) or "nccl" in str(error).lower()):
            raise
        kept = "the last good checkpoint"
        raise Wrong("another process has ended", kept=kept, code=RUN, reason="worker") from error
    finally:
        if started:
            dist.destroy_process_group()
        torch.set_num_threads(threads)


def to(value: Any, device: torch.device) -> Any:
    """The tensors of nested tuples, lists and dicts on the device; any other object is handed on as it is."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {k: to(v, device) for k, v in value.items()}
    return type(value)(to(v, device) for v in value) if isinstance(value, (tuple, list)) else value


def reseed(device: torch.device, *key: int) -> None:
    """What a loss draws becomes a function of key = (seed, step, rank). As torch.manual_seed, in 1 us instead of 90."""
    number = hash(key) & 0x7FFF_FFFF_FFFF_FFFF  # the hash of a tuple of integers is the same in every process
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(number)


def spread(model: nn.Module) -> None:
    """Every process starts from rank 0's model."""
    if dist.is_initialized():
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, 0)


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Means and variances that BatchNorm gathers: each process sees other samples, so they would drift apart."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    return [s for m in norms for s in (m.running_mean, m.running_var) if s is not None]


def all_reduce(
    parameters: list[nn.Parameter], statistics: list[Tensor], total: Tensor, n: int, stop: bool
) -> tuple[Tensor, int | Tensor, bool | Tensor]:
    """Gradients, total, n and the wish to stop become their sums over processes, statistics their mean, by one message."""
    if not dist.is_initialized():
        return total, n, stop
    for p in parameters:
        if p.grad is None:  # another process may have one
            p.grad = torch.zeros_like(p)
    total = total.clone()
    count, wish = (torch.full((), float(v), device=total.device) for v in (n, stop))  # on the device: no copy waits
    tensors = [total, count, wish, *statistics, *(p.grad for p in parameters if p.grad is not None)]
    kind = functools.reduce(torch.promote_types, {t.dtype for t in tensors})
    message = torch.cat([t.flatten().to(kind) for t in tensors])
    dist.all_reduce(message)
    parts = torch.split(message, [t.numel() for t in tensors])
    torch._foreach_copy_(tensors, [m.view_as(t) for m, t in zip(parts, tensors, strict=True)])
    if statistics:
        torch._foreach_div_(statistics, dist.get_world_size())
    return total, count, wish


def agree(number: float) -> float:
    """Rank 0's number: clocks differ, decisions must not."""
    if not dist.is_initialized():
        return number
    shared = torch.tensor(number, dtype=torch.float64)
    dist.broadcast(shared, 0)
    return float(shared)


def gather(state: Any) -> list[Any]:
    """The states of all processes, by rank."""
    if not dist.is_initialized():
        return [state]
    states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return states


def wait() -> None:
    """Until every process has come here."""
    if dist.is_initialized():
        dist.barrier()


class Signals:
    """The flag that SIGINT and SIGTERM set: the first asks to stop after the step, the second stops now. SIGHUP is ignored."""

    def __init__(self) -> None:
        self.code = 0

    def __bool__(self) -> bool:
        return self.code != 0

    def _set(self, number: int, frame: object) -> None:
        code = INTERRUPTED if number == signal.SIGINT else TERMINATED
        if self.code:
            os._exit(self.code)  # nothing is lost: the last checkpoint is whole
        self.code = code
        with contextlib.suppress(OSError):
            os.write(2, b"\nfinishing this step ... (once more: stop now)\n")

    @contextlib.contextmanager
    def caught(self) -> Iterator["Signals"]:
        """While this holds, signals set the flag. Only in a main thread; elsewhere Python allows no handlers."""
        ours: dict[int, Any] = {signal.SIGINT: self._set, signal.SIGTERM: self._set, signal.SIGHUP: signal.SIG_IGN}
        allowed = threading.current_thread() is threading.main_thread()
        before = {number: signal.signal(number, ours[number]) for number in (ours if allowed else ())}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def memory(device: torch.device) -> float:
    """Largest memory so far, in GiB: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    import resource

    scale = 2**30 if platform.system() == "Darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
