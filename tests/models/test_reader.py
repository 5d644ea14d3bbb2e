"""A reader's answer is that of the formula over the words that are there; what lies beyond a text's end leaves no trace."""

import pytest
import torch

from empirisk.errors import Wrong
from empirisk.models.reader import CELLS, Reader


def reader(**options):
    torch.manual_seed(0)
    return Reader(9, 3, width=4, **options).double().eval()


@pytest.mark.parametrize("pool", ["mean", "last"])
@pytest.mark.parametrize("memory", CELLS)
def test_it_is_step_by_step_the_formula_and_padding_leaves_no_trace(memory, pool):
    net, words = reader(memory=memory, pool=pool), [4, 7, 3]
    cell = net.recurrent.cell
    state = cell.start(torch.zeros(1, 4, dtype=torch.float64))
    outputs = []
    for word in words:
        state = cell.step(state, net.embedding.weight[None, word])
        outputs.append(cell.output(state))
    expected = net.head(outputs[-1] if pool == "last" else torch.stack(outputs).mean(0))
    for beyond in (0, 5):
        x = torch.tensor([words + [beyond] * 4, [8] * 7]), torch.tensor([3, 7])
        torch.testing.assert_close(net(x)[:1], expected, rtol=0, atol=1e-12)


def test_the_order_of_the_words_counts():
    net = reader()
    a, b = torch.tensor([[4, 5, 6, 3]]), torch.tensor([[6, 5, 4, 3]])
    assert (net((a, torch.tensor([4]))) - net((b, torch.tensor([4])))).abs().max() > 1e-3


def test_a_share_of_the_words_is_unknown_in_training_alone():
    net = reader(unknown=0.5)
    x, seen = (torch.full((200, 10), 5), torch.full((200,), 10)), []
    net.embedding.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    net(x)
    net.train()(x)
    assert (seen[0] == 5).all()
    assert set(seen[1].unique().tolist()) == {1, 5}
    assert 0.45 < (seen[1] == 1).double().mean() < 0.55


def test_unknown_names_are_refused():
    for options in ({"memory": "gri"}, {"pool": "max"}):
        with pytest.raises(Wrong, match="unknown"):
            reader(**options)
