import os
import signal

import pytest
import torch
from torch import nn

from empirisk import erm, runtime
from empirisk.errors import INTERRUPTED, TERMINATED, Wrong

CPU = torch.device("cpu")


def test_alone_there_is_one_process_of_rank_0():
    assert (runtime.rank(), runtime.world()) == (0, 1)
    assert runtime.agree(1.5) == 1.5
    assert runtime.gather("mine") == ["mine"]
    runtime.wait()
    p, total = nn.Parameter(torch.zeros(2)), torch.tensor(3.0)
    assert runtime.all_reduce([p], [], total, 7, True) == (total, 7, True)
    assert p.grad is None


def test_devices_by_name():
    assert runtime.device_named("cpu") == CPU
    for name in ("gpu", "cuda:99", "cpu:x", ""):
        with pytest.raises(Wrong, match="is not there") as caught:
            runtime.device_named(name)
        assert caught.value.code == 2


def test_bf16_only_where_the_device_computes_in_it_and_the_model_has_convolutions(monkeypatch):
    convolves, linear = nn.Sequential(nn.Conv3d(1, 1, 3)), nn.Linear(2, 2)
    monkeypatch.setattr(runtime, "computes_in_bf16", lambda device: True)
    assert runtime.precision_of("auto", CPU, convolves) == "bf16"
    assert runtime.precision_of("auto", CPU, linear) == "float32"
    assert runtime.precision_of("fp16", CPU, linear) == "fp16"
    monkeypatch.setattr(runtime, "computes_in_bf16", lambda device: False)
    assert runtime.precision_of("auto", CPU, convolves) == "float32"


def test_the_machine_is_said_without_names():
    said = runtime.machine(CPU)
    assert said["device"] == "cpu"
    assert os.uname().nodename not in said.values()


def test_nested_tensors_move_and_all_else_is_handed_on():
    carry = object()
    x = {"a": (torch.ones(2), [torch.zeros(1), carry]), "b": None}
    moved = runtime.to(x, torch.device("meta"))
    assert moved["a"][0].device.type == moved["a"][1][0].device.type == "meta"
    assert isinstance(moved["a"][1], list)
    assert moved["a"][1][1] is carry
    assert moved["b"] is None


def test_what_is_drawn_is_a_function_of_the_key():
    def drawn(*key):
        runtime.reseed(CPU, *key)
        return torch.rand(4).tolist()

    first = drawn(0, 5, 1)
    assert first == drawn(0, 5, 1)
    assert len({str(drawn(*key)) for key in [(0, 5, 1), (0, 5, 0), (0, 1, 5), (1, 5, 1)]}) == 4
    assert [round(v, 6) for v in first] == [0.962975, 0.731116, 0.198303, 0.356573], (
        "the same in every process and version of Python"
    )


def test_statistics_are_those_of_batch_norm():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.GroupNorm(1, 3), nn.BatchNorm2d(2, track_running_stats=False))
    found = runtime.running_statistics(model)
    assert [s is t for s, t in zip(found, (model[0].running_mean, model[0].running_var), strict=True)] == [True, True]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_the_first_signal_asks_the_second_ends(number, code, monkeypatch, capfd):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    before = signal.getsignal(number)
    with runtime.Signals().caught() as flag:
        assert not flag
        os.kill(os.getpid(), number)
        assert flag
        assert (flag.code, ended) == (code, [])
        assert "once more: stop now" in capfd.readouterr().err
        os.kill(os.getpid(), number)
        assert ended[0] == code
    assert signal.getsignal(number) == before


def test_a_closed_terminal_does_not_end_a_run():
    with runtime.Signals().caught() as flag:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not flag


def test_signals_outside_the_main_thread_are_left_alone():
    from concurrent.futures import ThreadPoolExecutor

    def inside():
        with runtime.Signals().caught() as flag:
            return bool(flag)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() is False


def test_memory_of_this_process_in_gib():
    assert 0.05 < runtime.memory(CPU) < 64


def test_a_run_on_a_gpu_looks_for_the_wish_to_stop_at_every_tenth_step_only():
    class OnGpu(torch.Tensor):
        is_cuda = True

        def __bool__(self):
            looked.append(run.step)
            return False

    looked, run = [], erm.Run.__new__(erm.Run)
    run.wish = torch.zeros(()).as_subclass(OnGpu)
    for run.step in range(1, 31):
        assert run.asked_to_stop() is False
    assert looked == [10, 20, 30]
