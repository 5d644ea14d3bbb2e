import contextlib
import itertools
import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from empirisk import erm, optimization, runtime
from empirisk.errors import Wrong
from empirisk.folder.checkpoints import Checkpoints
from empirisk.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parent))
from games import GAMES, TWO, Game, Gan, Rows, cross_entropy, drawn, mean, net, pictures, said, small_resnet

CPU = torch.device("cpu")


def distance(a, b) -> float:
    a, b = (m if isinstance(m, dict) else m.state_dict() for m in (a, b))
    assert a.keys() == b.keys()
    return max(float((a[k] - b[k]).abs().max()) for k in a)


def same(a, b) -> bool:
    a, b = (m if isinstance(m, dict) else m.state_dict() for m in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# -- one process, accumulation and several processes take the same step


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes made of every game: the weights of each, and what they heard."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as s:
        s.bind(("localhost", 0))
        port = s.getsockname()[1]
    environment = os.environ | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("games.py")), str(folder)]
    errors = [folder / f"stderr-{rank}" for rank in range(2)]
    with contextlib.ExitStack() as opened:
        processes = [
            subprocess.Popen(
                command, stderr=opened.enter_context(path.open("w")),
                env=environment | {"MASTER_PORT": str(port), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank, path in enumerate(errors)
        ]  # fmt: skip
        try:
            for p in processes:
                p.wait(timeout=120)
        finally:
            for p in processes:
                p.kill()
                p.wait()
    assert [p.returncode for p in processes] == [0, 0], "\n".join(path.read_text() for path in errors)
    heard = [folder / f"heard-{rank}.json" for rank in range(2)]
    weights = {(name, rank): load_file(folder / f"{name}-{rank}.safetensors") for name in GAMES for rank in range(2)}
    return weights, [json.loads(path.read_text()) for path in heard]


@pytest.mark.parametrize("name", [name for name in GAMES if not name.startswith("batch norm")])
def test_two_processes_take_the_step_of_one(together, name):
    weights, heard = together
    model, fitted = GAMES[name].play(evaluate=lambda m: {"val": 1.0})
    far = 2e-6 if name == "group norm" else 1e-12
    assert distance(model, weights[name, 0]) < far
    for mine, theirs in zip(said(fitted), heard[0][name], strict=True):
        assert theirs == pytest.approx(mine, rel=1e-5 if name == "group norm" else 1e-12)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("name", ["vector", "scalar", "tokens", "two players"])
def test_accumulation_takes_the_step_of_the_whole_batch(name, parts):
    a, b = (GAMES[name].play(evaluate=lambda m: {"val": 1.0}, recipe={"accumulate": n})[0] for n in (1, parts))
    assert distance(a, b) < 1e-12


def test_vector_and_scalar_of_the_same_loss_are_the_same_risk():
    a, b = GAMES["vector"].play(), GAMES["scalar"].play()
    assert distance(a[0], b[0]) < 1e-12
    assert [row["loss"] for row in a[1].rows] == pytest.approx([row["loss"] for row in b[1].rows], rel=1e-12)


def test_the_number_of_terms_counts_not_the_mean_of_means():
    """tokens: the step is that of the mean over all terms of the batch, written out."""
    game = Game(
        GAMES["tokens"].model, GAMES["tokens"].players, recipe={"optimizer": "sgd", "schedule": "constant"}, steps=1
    )
    game.recipe |= {"weight_decay": 0.0}
    model, _ = game.play()
    bare, (x, y) = net(), next(iter(game.stream()(0)))
    terms = F.cross_entropy(bare(x), y, reduction="none")
    ((terms * y).sum() / y.sum()).backward()
    for p, q in zip(model.parameters(), bare.parameters(), strict=True):
        assert torch.allclose(p, q - 0.05 * q.grad, rtol=0, atol=1e-14)


def test_running_statistics_are_the_mean_over_processes(together):
    """r <- .9 r + .1 (b_0 + b_1)/2 with b_p the statistic of the share of process p: samples 0, 1 and 2, 3, 4 of the batch."""
    weights, _ = together
    game, found = GAMES["batch norm, one step"], weights["batch norm, one step", 0]
    stream = game.stream()
    with torch.no_grad():
        h = game.model()[0](stream.x[stream.order(0)[:5]])
    means, variances = (h[:2].mean(0) + h[2:].mean(0)) / 2, (h[:2].var(0) + h[2:].var(0)) / 2
    assert torch.allclose(found["1.running_mean"], 0.1 * means, rtol=0, atol=1e-14)
    assert torch.allclose(found["1.running_var"], 0.9 + 0.1 * variances, rtol=0, atol=1e-14)


def test_replicas_stay_equal(together):
    assert all(same(together[0][name, 0], together[0][name, 1]) for name in GAMES)


def test_a_wish_to_stop_in_one_process_stops_both_after_the_same_step(together):
    assert [h["stopped"] for h in together[1]] == [[3, True]] * 2


def test_processes_agree_on_the_number_of_steps(together):
    a, b = (h["steps"] for h in together[1])
    assert a == b >= 1


def test_a_batch_smaller_than_the_number_of_processes_is_refused(together):
    assert all("a batch of 1 cannot be shared by 2 processes" in h["too small"] for h in together[1])


# -- going on


def resnet_with_everything(precision):
    def dropped(model, batch):
        return F.cross_entropy(F.dropout(model(batch[0]), 0.3), batch[1], reduction="none")

    recipe = {"ema": 0.9, "clip": 0.5, "accumulate": 2, "patience": 2}
    norm = "batch" if precision == "float32" else "group"
    return Game(lambda: small_resnet(norm), [erm.Player(dropped)], pictures, recipe, lr=3e-3, steps=16)


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_stopped_in_mid_epoch_and_gone_on_is_the_same_to_the_bit(tmp_path, precision):
    game = resnet_with_everything(precision)
    straight = game.play(precision=precision)
    points, flag = Checkpoints(tmp_path), runtime.Signals()
    first = game.play(
        precision=precision,
        checkpoints=points,
        signals=flag,
        tell=lambda run: setattr(flag, "code", 130 * (run.step == 5)),
    )[1]
    assert (first.step, first.stopped, first.why) == (6, True, "stopped by hand")
    assert first.step % len(pictures())
    model, second = game.play(precision=precision, checkpoints=points)
    assert same(model, straight[0])
    assert same(second.kept.kept, straight[1].kept.kept)
    assert (said(second), second.step, second.why, second.kept.epoch) == (
        said(straight[1]), straight[1].step, straight[1].why, straight[1].kept.epoch
    )  # fmt: skip
    assert second.rows[0]["seconds"] == first.rows[0]["seconds"]


def test_dead_between_checkpoints_goes_on_from_the_last_one(tmp_path, monkeypatch):
    game = resnet_with_everything("float32")
    straight = game.play()
    monkeypatch.setattr(erm.Run, "due", lambda run, seconds=0.0: run.step % 10 == 0)  # the clock decides only when

    class Death(BaseException):
        pass

    def dies(run):
        if run.step == 14:
            raise Death

    points = Checkpoints(tmp_path)
    with pytest.raises(Death):
        game.play(checkpoints=points, tell=dies)
    assert points.load()[0] == 10
    model, second = game.play(checkpoints=points)
    assert same(model, straight[0])
    assert said(second) == said(straight[1])


def test_a_finished_run_does_nothing_more(tmp_path):
    points = Checkpoints(tmp_path)
    model, first = GAMES["vector"].play(checkpoints=points)
    again, second = GAMES["vector"].play(checkpoints=points, tell=lambda run: pytest.fail("a step was taken"))
    assert same(model, again)
    assert said(first) == said(second)


def test_the_state_of_another_model_is_refused(tmp_path):
    GAMES["vector"].play(checkpoints=Checkpoints(tmp_path))
    with pytest.raises(Wrong, match="the state in the checkpoint cannot be read") as caught:
        Game(lambda: nn.Sequential(nn.Linear(4, 3)).double()).play(checkpoints=Checkpoints(tmp_path))
    assert caught.value.code == 3


class Carry:
    """What is carried: `now` is read, `next` is left. A slice of it writes through."""

    def __init__(self, now, following):
        self.now, self.next = now, following

    def __getitem__(self, samples):
        return Carry(self.now[samples], self.next[samples])


class Films:
    """Films in pieces of two frames; the state of one piece goes into the next and is cleared at a film's start."""

    def __init__(self):
        self.frames, self.y = drawn(8, 6, 2), torch.arange(8) % 2
        self.carry, self.pending = Carry(torch.zeros(4, 3).double(), torch.zeros(4, 3).double()), False

    def __len__(self):
        return 6  # two groups of four films, three pieces each

    def names(self, epoch, index):
        return [f"film-{index // 3 * 4 + i}" for i in range(4)]

    def promote(self):
        if self.pending:
            self.carry.now.copy_(self.carry.next)
            self.pending = False

    def __call__(self, epoch, start=0):
        for i in range(start, 6):
            self.promote()
            group, piece = slice(i // 3 * 4, i // 3 * 4 + 4), i % 3
            if piece == 0:
                self.carry.now.zero_()
            self.pending = True
            yield (self.frames[group, 2 * piece : 2 * piece + 2], self.carry), self.y[group]

    def state_dict(self):
        self.promote()
        return {"now": self.carry.now.clone()}

    def load_state_dict(self, state):
        self.carry.now.copy_(state["now"])
        self.pending = False


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.out = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 2)
        self.double()

    def forward(self, x):
        frames, carry = x
        h, last = self.cell(frames, carry.now[None].clone())
        carry.next.copy_(last[0].detach())
        return self.out(h[:, -1])


FILMS = Game(Reader, stream=Films, steps=16)


def test_what_a_stream_carries_goes_on_in_the_middle_of_a_film(tmp_path):
    straight = FILMS.play(watch=None, evaluate=lambda m: {})
    flag, points = runtime.Signals(), Checkpoints(tmp_path)
    first = FILMS.play(
        watch=None, evaluate=lambda m: {}, checkpoints=points, signals=flag,
        tell=lambda run: setattr(flag, "code", 130 * (run.step == 7)),
    )[1]  # fmt: skip
    assert first.step == 8
    model, second = FILMS.play(watch=None, evaluate=lambda m: {}, checkpoints=points)
    assert same(model, straight[0])
    assert said(second) == said(straight[1])


def test_accumulation_cuts_what_is_carried_as_it_cuts_the_frames():
    a, b = (FILMS.play(watch=None, evaluate=lambda m: {}, recipe={"accumulate": parts})[0] for parts in (1, 2))
    assert distance(a, b) < 1e-12


# -- the parts


def test_the_average_is_the_formula():
    game, seen = Game(recipe={"ema": 0.8}, steps=12), []
    averaged = []
    start = [p.detach().clone() for p in net().parameters()]
    _, fitted = game.play(
        tell=lambda run: (
            seen.append([p.detach().clone() for p in run.model.parameters()]),
            averaged.append([p.clone() for p in run.average.module.parameters()]),
        ),
        watch=None,
    )
    for n, (weights, found) in enumerate(zip(seen, averaged, strict=True)):
        d = min(0.8, (1 + n) / (10 + n))
        start = [d * a + (1 - d) * w for a, w in zip(start, weights, strict=True)]
        for a, b in zip(start, found, strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-14)
    for a, b in zip(start, fitted.kept.kept.values(), strict=True):  # what is kept is the average
        assert torch.allclose(a, b, rtol=0, atol=1e-14)


def test_the_average_copies_counters():
    game = Game(lambda: net(norm=True), recipe={"ema": 0.5}, steps=6)
    _, fitted = game.play(watch=None)
    assert fitted.kept.kept["1.num_batches_tracked"] == 6


def scripted(values, seen):
    """An evaluation that says these values and remembers the weights."""

    def evaluate(model):
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        return {"val": values[len(seen) - 1]}

    return evaluate


def test_the_epoch_of_least_validation_risk_is_kept():
    seen = []
    _, fitted = Game(steps=15).play(evaluate=scripted([3.0, 1.0, 2.0, 1.0, 4.0], seen))
    assert (fitted.kept.epoch, fitted.kept.best, len(fitted.rows)) == (1, 1.0, 5)
    assert same(fitted.kept.kept, seen[1])
    assert fitted.why == "all its steps were done"
    assert not fitted.stopped


def test_early_stopping_ends_the_run_and_says_why(tmp_path):
    game, points = Game(steps=300, recipe={"patience": 2}), Checkpoints(tmp_path)
    _, fitted = game.play(evaluate=scripted([3.0, 1.0, 2.0, 1.0, 4.0], []), checkpoints=points)
    assert (fitted.kept.epoch, len(fitted.rows)) == (1, 4)
    assert fitted.why == "the risk on validation had not fallen for 2 epochs"
    again = game.play(checkpoints=points, tell=lambda run: pytest.fail("a step was taken"))[1]
    assert (again.kept.epoch, again.why, again.step) == (1, fitted.why, fitted.step)
    assert same(again.kept.kept, fitted.kept.kept)


def test_without_a_risk_to_watch_the_last_epoch_is_kept():
    model, fitted = GAMES["two players"].play(watch=None, evaluate=lambda m: {})
    assert fitted.kept.epoch == 2
    assert same(fitted.kept.kept, model)


@pytest.mark.parametrize("own", [None, 0.01])
def test_a_gradient_is_never_longer_than_clip(own):
    recipe = {"optimizer": "sgd", "schedule": "constant", "weight_decay": 0.0, "clip": 0.05}
    before = [torch.cat([p.detach().flatten() for p in net().parameters()])]
    lengths = []

    def tell(run):
        after = torch.cat([p.detach().flatten() for p in run.model.parameters()])
        lengths.append(float((after - before.pop()).norm()) / 2)
        before.append(after)

    Game(players=[erm.Player(cross_entropy, clip=own)], recipe=recipe, lr=2.0).play(tell=tell)
    assert max(lengths) == pytest.approx(own or 0.05, rel=1e-5)


def test_a_player_moves_at_every_such_step_of_the_loop():
    game, moved, last = GAMES["two players"], [], {"G": None}

    def tell(run):
        now = run.model.G[0].weight.detach().clone()
        moved.append(last["G"] is None or not torch.equal(now, last["G"]))
        last["G"] = now

    _, fitted = game.play(tell=tell, watch=None, evaluate=lambda m: {})
    assert moved == [step % 2 == 0 for step in range(8)]
    assert {"D", "G"} <= fitted.rows[0].keys()


def test_a_player_touches_no_gradient_and_no_weight_of_another():
    gan = Gan()
    run = erm.Run(gan, GAMES["two players"].stream(), TWO, Recipe(), 0.01, "float32", CPU)
    before = {k: v.clone() for k, v in gan.G.state_dict().items()}
    erm.move(run, run.seats[0], next(iter(run.batches(0))), 1.0, False)
    assert same(before, gan.G)
    assert all(p.grad is None for p in gan.G.parameters())


def test_a_player_without_a_move_in_an_epoch_has_no_risk_there():
    stream = lambda: Rows((drawn(6, 4), drawn(6, 2, seed=1), drawn(6, 1, seed=2)), torch.zeros(6), 3)
    players = [TWO[0], erm.Player(TWO[1].loss, TWO[1].moves, "G", every=5)]
    _, fitted = Game(Gan, players, stream, steps=8).play(watch=None, evaluate=lambda m: {})
    assert ["G" in row for row in fitted.rows] == [True, False, True, False]


def test_the_step_length_follows_the_schedule():
    seen = []
    Game(recipe={"schedule": "one_cycle"}).play(
        tell=lambda run: seen.append(run.seats[0].optimizer.param_groups[-1]["lr"])
    )
    assert seen == [0.05 * optimization.one_cycle(i / 8) for i in range(8)]


def test_a_batch_without_a_term_changes_nothing_into_nan():
    """Every pixel ignored: no term, and the mean of none is no gradient."""
    game = Game(players=[erm.Player(lambda m, b: cross_entropy(m, b)[:0])], recipe={"weight_decay": 0.0})
    model, fitted = game.play(watch=None, evaluate=lambda m: {})
    assert same(model, net())
    assert "loss" not in fitted.rows[0]


def test_risk_is_the_mean_of_all_terms_in_eval_mode():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.9)).double()
    rows = Rows(drawn(13, 4), torch.arange(13) % 3, 5)
    x, y = drawn(13, 4), torch.arange(13) % 3
    expected = float(F.cross_entropy(model[0](x), y).detach())
    assert erm.risk(model, rows(0), cross_entropy) == pytest.approx(expected, rel=1e-12)
    assert erm.risk(model, rows(0), mean(cross_entropy)) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(erm.risk(model, [], cross_entropy))


# -- what is refused


def test_a_loss_that_reaches_no_parameter_is_refused():
    blind = lambda m, b: b[0].sum(1)
    with pytest.raises(Wrong, match="does not reach 4 of its parameters") as caught:
        Game(players=[erm.Player(blind, name="blind")]).play()
    assert caught.value.code == 2
    assert "blind" in str(caught.value)


def test_a_parameter_that_the_loss_does_not_reach_is_named():
    def skips(model, batch):
        return model[2](torch.tanh(drawn(len(batch[0]), 7))).square().sum(1)

    with pytest.raises(Wrong, match="does not reach 2 of its parameters") as caught:
        Game(players=[erm.Player(skips)]).play()
    assert "0.weight, 0.bias" in str(caught.value)

    def half_frozen():
        model = net()
        model[0].requires_grad_(False)
        return model

    Game(half_frozen, [erm.Player(skips)]).play()


def test_a_player_that_may_move_nothing_is_refused():
    with pytest.raises(Wrong, match="may move no parameter"):
        Game(lambda: net().requires_grad_(False)).play()


def test_fp16_skips_and_counts_an_overflowing_gradient():
    def huge(model, batch):
        return 3e6 * cross_entropy(model, batch) * (1 if model.training else 0)

    game = Game(lambda: net().float(), [erm.Player(huge)], FLOATS, steps=6)
    _, fitted = game.play(precision="fp16", watch=None)
    assert fitted.rows[-1]["skipped"] > 0
    assert all(torch.isfinite(v).all() for v in fitted.kept.kept.values())


# -- a loss that is not finite


def nan_from(step, value=math.nan):
    """Its terms are NaN from a step on, of the process's own count of training batches."""
    calls = itertools.count()

    def loss(model, batch):
        terms = cross_entropy(model, batch)
        return terms * value if model.training and next(calls) >= step else terms

    return loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_player_step_samples_and_norm(tmp_path, value):
    game = Game(players=[erm.Player(nan_from(7, value), name="critic")], steps=12)  # 3 steps an epoch
    points = Checkpoints(tmp_path)
    good = []
    with pytest.raises(Wrong) as caught:
        game.play(checkpoints=points, evaluate=scripted([3.0, 2.0, 1.0], good))
    wrong = caught.value
    assert (wrong.code, wrong.reason) == (3, "divergence")
    assert wrong.what.startswith(
        "the loss of player 'critic' is not finite at step 7 (epoch 2; norm of the last gradient nan"
    )
    assert wrong.where == "samples " + ", ".join(game.stream().names(2, 1))
    assert len(good) == 2
    _, state = points.load()
    assert same(state["kept"], good[1])  # also where that checkpoint was written before it
    assert state["stop"]["epoch"] == 1
    with pytest.raises(Wrong, match="at step 7"):  # going on comes to the same
        Game(players=[erm.Player(nan_from(7 - state["counters"]["step"], value))], steps=12).play(
            checkpoints=points, evaluate=scripted([2.0, 1.0][state["counters"]["step"] // 3 - 1 :], [])
        )
    assert same(points.load()[1]["kept"], good[1])


def test_the_player_that_moves_seldom_is_named_with_its_own_step():
    calls = itertools.count()

    def bad(model, batch):
        return TWO[1].loss(model, batch) * (math.nan if next(calls) == 2 else 1)

    players = [TWO[0], erm.Player(bad, TWO[1].moves, "G", every=2)]  # its moves: 0, 2, 4; three steps an epoch
    with pytest.raises(Wrong, match=r"player 'G' is not finite at step 4 \(epoch 1") as caught:
        Game(Gan, players, GAMES["two players"].stream).play(watch=None, evaluate=lambda m: {})
    assert caught.value.where == "samples " + ", ".join(GAMES["two players"].stream().names(1, 1))


def test_a_step_that_breaks_the_weights_under_a_finite_loss_is_found_before_they_are_kept():
    """The last step of an epoch: its loss is finite, its gradient is not."""

    def steep(model, batch):
        terms = cross_entropy(model, batch)
        return terms + torch.sqrt(0 * terms) if batch[0].shape[0] == 3 else terms  # d sqrt(0) = inf, inf 0 = NaN

    game, kept = Game(players=[erm.Player(steep)]), []
    with pytest.raises(Wrong, match="the update of player 'loss' is not finite at step 2") as caught:
        game.play(watch=None, evaluate=lambda m: kept.append(m) or {})
    assert caught.value.code == 3
    assert not kept


def test_a_risk_on_validation_that_is_not_finite_stops_too():
    with pytest.raises(Wrong, match=r"the risk on validation \(val\) is nan after epoch 0") as caught:
        Game().play(evaluate=lambda m: {"val": math.nan})
    assert caught.value.code == 3


def test_a_gradient_of_1e30_is_clipped_and_nothing_breaks():
    steep = lambda m, b: 1e30 * cross_entropy(m, b) if m.training else cross_entropy(m, b)
    for clip in (None, 1.0):
        model, _ = Game(lambda: net().float(), [erm.Player(steep)], FLOATS, {"clip": clip} if clip else {}).play()
        assert all(torch.isfinite(p).all() for p in model.parameters())


def FLOATS():
    return Rows(drawn(13, 4, dtype=torch.float32), torch.arange(13) % 3, 5)


# -- time


class Clock:
    """A clock that only work moves."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def taking(self, seconds, answer=None):
        def work(*arguments):
            self.now += seconds
            return answer(*arguments) if answer else {"val": 1.0}

        return work


@pytest.mark.parametrize(("every", "minutes"), [(1, 1.0), (3, 2.0)])
def test_a_time_budget_is_met_and_its_trial_leaves_no_trace(monkeypatch, every, minutes):
    clock = Clock(monkeypatch)
    model = Gan()
    stream = Films() if every == 1 else GAMES["two players"].stream()
    if every == 1:
        model, players = Reader(), [erm.Player(clock.taking(0.1, cross_entropy))]
        stream.carry.now.fill_(0.25)
    else:
        players = [erm.Player(clock.taking(0.1, TWO[0].loss), TWO[0].moves, "D"),
                   erm.Player(clock.taking(0.3, TWO[1].loss), TWO[1].moves, "G", every=every)]  # fmt: skip
    before = {k: v.clone() for k, v in model.state_dict().items()}
    evaluate = clock.taking(0.4)
    steps = erm.steps_within(
        60 * minutes,
        model,
        stream,
        players,
        recipe=Recipe(ema=0.9),
        lr=0.01,
        evaluate=evaluate,
        precision="float32",
        device=CPU,
    )
    assert same(before, model)
    assert all(p.grad is None for p in model.parameters())
    if every == 1:
        assert (stream.carry.now == 0.25).all()
    erm.fit(model, stream, players, recipe=Recipe(), lr=0.01, steps=steps, evaluate=evaluate)
    assert 0.9 * 60 * minutes < clock.now < 60 * minutes


def test_a_run_that_is_too_slow_is_cut_off_in_mid_epoch_and_is_whole(monkeypatch, tmp_path):
    clock, points = Clock(monkeypatch), Checkpoints(tmp_path)
    game = Game(stream=lambda: Rows(drawn(80, 4), torch.arange(80) % 3, 4), steps=60,
                players=[erm.Player(clock.taking(1.0, cross_entropy))])  # fmt: skip
    _, fitted = game.play(limit=25.5, evaluate=lambda m: {"val": 1.0}, checkpoints=points)
    assert (fitted.step, fitted.why, fitted.stopped) == (30, "the time budget ran out at step 30 of 60", False)
    assert fitted.kept.kept
    assert game.play(checkpoints=points, limit=25.5)[1].why == fitted.why


def test_saving_costs_at_most_a_twentieth_of_the_time(monkeypatch, tmp_path):
    clock, saves = Clock(monkeypatch), []

    class Slow(Checkpoints):
        def save(self, step, *arguments, **options):
            saves.append(step)
            clock.now += 0.5

    game = Game(players=[erm.Player(clock.taking(0.1, cross_entropy))], steps=600)
    game.play(evaluate=lambda m: {"val": 1.0}, checkpoints=Slow(tmp_path))
    assert 4 <= len(saves) <= 8  # 60 s of steps
    assert saves[-1] == 600


# -- guards


def test_the_loss_trace_is_as_it_was():
    """Players, order of the step, schedule, clip, average, draws: a change of any shows here."""

    def noisy(model, batch):
        return cross_entropy(model, (batch[0] + 0.1 * torch.rand_like(batch[0]), batch[1]))

    recipe = {"ema": 0.7, "clip": 0.5, "accumulate": 2, "schedule": "one_cycle", "weight_decay": 0.1}
    _, fitted = Game(players=[erm.Player(noisy)], recipe=recipe, steps=15, lr=0.1).play()
    found = [round(row[k], 7) for row in fitted.rows for k in ("loss", "val")]
    assert found == pytest.approx(TRACE, abs=1e-6)  # initial weights are float32, and differ by the processor


TRACE = [1.137964, 1.0877373, 1.0619178, 1.0105033, 1.0179636, 0.9485712, 0.9265979, 0.8943289, 0.8850875, 0.8852768]


class Waits(TorchDispatchMode):
    """Notes each operation whose answer the host waits for."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if any(word in str(operation) for word in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal")):
            self.seen.append(str(operation))
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", sorted(optimization.OPTIMIZERS))
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_no_step_waits_for_the_device(optimizer, precision):
    stream = pictures()
    recipe = Recipe(optimizer=optimizer, ema=0.9, clip=1.0, accumulate=2)
    run = erm.Run(small_resnet("batch"), stream, [erm.Player(cross_entropy)], recipe, 1e-3, precision, CPU)
    batches = list(itertools.islice(stream(0), 2))
    with Waits() as waits:
        for batch in batches:
            erm.step(run, batch, 0.5, False)
            run.asked_to_stop()
    assert waits.seen == []
    with Waits() as waits:
        run.seats[0].risk()
    assert waits.seen  # the guard sees what it should


def test_two_processes_share_one_message(together):
    """Gradients of two precisions, one of them missing in a process, a statistic, a total, a number, a wish."""
    for heard in together[1]:
        a, b, statistic, total, n, stop = heard["all_reduce"]
        assert (a, statistic, total, n, stop) == ([2.0, 4.0], [0.5], 3.0, 2001.0, True)
        assert b == torch.tensor([1e-4, 1.0 + 1e-6]).tolist()  # not rounded to bf16 on the way
        assert heard["agree"] == 10.0
        assert heard["gather"] == [{"rank": 0}, {"rank": 1}]
        assert heard["threads"] == max(1, (os.cpu_count() or 1) // 2)


def test_gradients_are_taken_back_and_steps_taken_in_one_place():
    source = Path(erm.__file__).parents[1]
    found = [
        (path.relative_to(source).as_posix(), line.strip())
        for path in sorted(source.rglob("*.py"))
        for line in path.read_text().splitlines()
        if any(
            call in line.replace("optimizer.step()", "")
            for call in ("autograd.backward(", "scaler.step(", "optimizer.step(")
        )
    ]
    assert [file for file, _ in found] == ["erm/__init__.py"] * 2, found
    assert not any(".backward(" in path.read_text().replace("autograd.backward(", "") for path in source.rglob("*.py"))


@pytest.mark.parametrize(("lengths", "chosen"), [([0.3, 0.2], 2), ([0.2, 0.19], 1), ([0.2, 0.5], 1)])
def test_timed_runs_take_the_number_of_threads_that_is_faster_by_a_tenth(monkeypatch, lengths, chosen):
    monkeypatch.setattr(erm.runtime, "choices_of_threads", lambda device: [1, 2])
    asked = []

    def step_length(run, batches, until):
        asked.append(torch.get_num_threads())
        return lengths[len(asked) - 1]

    monkeypatch.setattr(erm, "step_length", step_length)
    before = torch.get_num_threads()
    model, stream = net(), Rows(drawn(16, 4), torch.arange(16) % 3, 4)
    try:
        steps = erm.steps_within(60, model, stream, [erm.Player(cross_entropy)], recipe=Recipe(), lr=0.1,
                                 evaluate=lambda m: {}, precision="float32", device=CPU)  # fmt: skip
        assert (asked, torch.get_num_threads()) == ([1, 2], chosen)
        assert steps == pytest.approx(0.95 * 60 / lengths[chosen - 1], rel=0.05)
    finally:
        torch.set_num_threads(before)


def test_a_number_of_threads_that_the_user_gave_is_the_only_choice(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("EMPIRISK_THREADS", "free")  # the command line set 4, not the user
    assert runtime.choices_of_threads(CPU) == [4, 8]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert runtime.choices_of_threads(CPU) == [2, 4]
    monkeypatch.delenv("EMPIRISK_THREADS")
    assert runtime.choices_of_threads(CPU) == [torch.get_num_threads()]
