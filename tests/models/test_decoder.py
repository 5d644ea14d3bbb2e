"""Attention and decoding: against their formulas, step by step equal to the whole, greedy and beam against all sentences there are."""

import itertools
import math

import pytest
import torch

from empirisk.data import words
from empirisk.models import decoder as module
from empirisk.models.attention import Attention
from empirisk.models.captioner import captioner, eye
from empirisk.models.decoder import BEGIN, END, PAD, Decoder, beam, chosen, greedy
from empirisk.models.seq2seq import translator

V, H = 7, 8


@pytest.fixture
def made():
    """A decoder in evaluation mode, and a memory of five rows of six values, the last row with four."""
    torch.manual_seed(0)
    d = Decoder(V, H).eval()
    with torch.no_grad():
        d.out.weight.mul_(4)  # so that sentences differ
    there = torch.arange(6) < torch.tensor([6, 6, 6, 6, 4])[:, None]
    return d, d.attention.memory(torch.randn(5, 6, H), there, torch.randn(5, H).tanh())


def test_the_vocabulary_begins_as_that_of_the_data():
    assert (module.PAD, module.UNKNOWN, BEGIN, END) == (words.PAD, words.UNKNOWN, words.BEGIN, words.END)


def test_attention_is_its_formula_and_sees_nothing_beyond_the_end():
    torch.manual_seed(1)
    a, h, s = Attention(H), torch.randn(1, 3, H), torch.randn(1, 1, H)
    c, found = a(s, a.memory(h, torch.tensor([[True, True, False]]), s[:, 0]))
    scores = [float(s[0, 0] @ a.general.weight.detach() @ h[0, i]) / H**0.5 for i in range(2)]
    expected = [math.exp(v) / sum(map(math.exp, scores)) for v in scores]
    torch.testing.assert_close(found[0, 0], torch.tensor([*expected, 0.0]))
    torch.testing.assert_close(c[0, 0], expected[0] * h[0, 0] + expected[1] * h[0, 1])


def test_step_by_step_the_logits_are_those_of_the_whole(made):
    d, memory = made
    said = torch.randint(END, V, (5, 6))
    said[:, 0] = BEGIN
    whole, weights = d(said, memory)
    assert weights.shape == (5, 6, 6)
    assert float(weights.detach()[4, :, 4:].abs().max()) == 0
    state, table = memory.state, d.table()
    for t in range(6):
        logits, state = d.step(said[:, t], state, table, memory)
        torch.testing.assert_close(logits[:, END:], whole[:, t, END:])
        assert torch.isinf(logits[:, :END]).all()


def test_greedy_takes_the_likeliest_word_and_stops_where_all_have_ended(made):
    d, memory = made
    said = greedy(d, memory, most=30)
    read = torch.cat([torch.full((5, 1), BEGIN), said[:, :-1]], 1)
    logits = d(read, memory)[0]
    logits[..., :END] = -torch.inf
    for row, likeliest in zip(said.tolist(), logits.argmax(-1).tolist(), strict=True):
        n = row.index(END) + 1 if END in row else len(row)
        assert row[:n] == likeliest[:n]
        assert set(row[n:]) <= {PAD}
    with torch.no_grad():
        d.out.bias[END] = 50.0
    assert greedy(d, memory, most=30).tolist() == [[END]] * 5


def test_a_beam_of_one_is_greedy_and_rows_do_not_disturb_each_other(made):
    d, memory = made
    torch.testing.assert_close(beam(d, memory, most=8, k=1), greedy(d, memory, most=8))
    together = beam(d, memory, most=8, k=3)
    for i in range(5):
        alone = beam(d, type(memory)(*(t[i : i + 1] for t in memory)), most=8, k=3)[0]
        assert together[i, : len(alone)].tolist() == alone.tolist()
        assert set(together[i, len(alone) :].tolist()) <= {PAD}


def test_a_beam_as_wide_as_all_beginnings_finds_the_best_sentence_of_all(made):
    d, memory = made
    wide, most = (V - END) ** 3, 3
    found = beam(d, memory, most=most, k=wide)
    for i in range(5):
        one = type(memory)(*(t[i : i + 1] for t in memory))
        best = max(sentences(most), key=lambda s: mean_log_p(d, one, s))
        said = [w for w in found[i].tolist() if w != PAD]
        assert mean_log_p(d, one, said) == pytest.approx(mean_log_p(d, one, best), abs=1e-6)


def sentences(most):
    """All that end within so many words, or are cut off there."""
    for n in range(1, most + 1):
        for body in itertools.product(range(END + 1, V), repeat=n - 1):
            yield [*body, END]
    yield from map(list, itertools.product(range(END + 1, V), repeat=most))


def mean_log_p(d, memory, said):
    state, table, word, total = memory.state, d.table(), torch.tensor([BEGIN]), 0.0
    for w in said:
        logits, state = d.step(word, state, table, memory)
        total += float(logits.detach().log_softmax(1)[0, w])
        word = torch.tensor([w])
    return total / len(said)


def nets():
    torch.manual_seed(2)
    image = captioner(eye(1, (32, 32), 4), 1, (32, 32), V, mean=[0.5], std=[0.2], width=H)
    volume = captioner(eye(1, (16, 16, 16), 4), 1, (16, 16, 16), V, mean=[0.5], std=[0.2], width=H)
    said = torch.randint(END, V, (3, 5))
    yield image, torch.rand(3, 1, 32, 32), said
    yield volume, torch.rand(3, 1, 16, 16, 16), said
    yield translator(V, width=H), (torch.randint(END, V, (3, 6)), torch.tensor([6, 2, 4])), said


@pytest.mark.parametrize("net, x, said", [*nets()], ids=["image", "volume", "text"])
def test_every_parameter_is_reached_and_it_learns_three_sentences_by_heart(net, x, said):
    read = torch.cat([torch.full((3, 1), BEGIN), said[:, :-1]], 1)
    optimizer, risks = torch.optim.AdamW(net.parameters(), 3e-2), []
    for _ in range(80):
        risk = torch.nn.functional.cross_entropy(net(x, read)[0].flatten(0, 1), said.flatten())
        optimizer.zero_grad()
        risk.backward()
        assert all(p.grad is not None for p in net.parameters())
        optimizer.step()
        risks.append(risk.item())
    assert risks[-1] < 0.1 * risks[0]
    assert chosen(net.eval().decoder, net.remember(x), most=5, k=1).shape[0] == 3


def test_what_is_beyond_the_end_of_a_text_changes_nothing():
    torch.manual_seed(3)
    net = translator(V, width=H).eval()
    text = torch.tensor([[4, 5, 6, 4, 5]])
    alone = net.remember((text[:, :3], torch.tensor([3])))
    padded = net.remember((text, torch.tensor([3])))
    torch.testing.assert_close(padded.values[:, :3], alone.values)
    torch.testing.assert_close(padded.state, alone.state)
    read = torch.tensor([[BEGIN, 4, 5]])
    torch.testing.assert_close(net.decoder(read, padded)[0], net.decoder(read, alone)[0])


def test_the_backward_reader_is_a_reader_of_the_mirrored_text():
    torch.manual_seed(4)
    net = translator(V, width=H).eval()
    net.behind.load_state_dict(net.ahead.state_dict())
    with torch.no_grad():
        net.lateral.weight.copy_(torch.cat([torch.zeros(H, H), torch.eye(H)], 1))
        net.lateral.bias.zero_()
    text, lengths = torch.tensor([[4, 5, 6, 4]]), torch.tensor([4])
    found = net.remember((text, lengths)).values
    mirrored = net.ahead(net.decoder.embed(text.flip(1)), lengths)[0].flip(1)
    torch.testing.assert_close(found, mirrored)
