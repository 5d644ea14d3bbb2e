"""A recurrent decoder with attention, and how words are chosen one after the other: the likeliest each, or by beam search."""

import torch
from torch import Tensor, nn

from empirisk.models.attention import Attention, Memory
from empirisk.models.rnn import GRU, Recurrent

PAD, UNKNOWN, BEGIN, END = range(4)
"""The first indices of every vocabulary; of these only the end is ever said."""


class Decoder(nn.Module):
    """s_t = GRU(s_{t-1}, E w_{t-1}), p(w_t) = softmax(V W [s_t, c_t]), c_t what s_t attends to in a memory.

    Luong et al. (2015), equation 6, with the linear output of Xu et al. (2015), equation 7: what c says for a word is learned once
    for all states, where the tanh of the former took three times the steps. The state does not wait for the context, so that in
    training, where w_{t-1} is the true word (teacher forcing), all steps but the recurrence itself are one product.
    """

    def __init__(self, words: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.recurrent, self.attention = Recurrent(GRU(width, width)), Attention(width)
        self.join, self.out = nn.Linear(2 * width, width), nn.Linear(width, words)
        self.dropout = nn.Dropout(dropout)

    def read(self, s: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """States (n, L, H) -> logits (n, L, words), weights of the memory (n, L, P)."""
        c, a = self.attention(s, memory)
        return self.out(self.dropout(self.join(torch.cat([s, c], -1)))), a

    def forward(self, words: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Words (n, L), the begin first -> logits of the word after each (n, L, words), weights (n, L, P)."""
        x = self.dropout(self.embed(words))
        lengths = torch.full(
            (len(x),), x.shape[1], device=x.device
        )  # the padded steps of a row come last: none reads them
        return self.read(self.recurrent(x, lengths, memory.state)[0], memory)

    def table(self) -> Tensor:
        """W_i E + b of each word (words, 3 H): what a step adds, computed once for a whole decoding."""
        return self.recurrent.cell.project(self.embed.weight)

    def step(self, word: Tensor, state: Tensor, table: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The last word (n,) and state (n, H) -> the logits of the next (n, words), what is never said at -inf, and the next state."""
        state = self.recurrent.cell.advance(state, table[word])
        logits = self.read(state[:, None], memory)[0][:, 0]
        logits[:, :END] = -torch.inf
        return logits, state


@torch.no_grad()
def greedy(decoder: Decoder, memory: Memory, *, most: int) -> Tensor:
    """The likeliest word at each step, until every row has ended or `most` words: (n, L), padded beyond each row's end."""
    table, state = decoder.table(), memory.state
    word = torch.full((len(state),), BEGIN, device=state.device)
    ended, said = torch.zeros_like(word, dtype=torch.bool), []
    for _ in range(most):
        logits, state = decoder.step(word, state, table, memory)
        word = logits.argmax(1).masked_fill(ended, PAD)
        said.append(word)
        ended |= word == END
        if bool(ended.all()):
            break
    return torch.stack(said, 1)


@torch.no_grad()
def beam(decoder: Decoder, memory: Memory, *, most: int, k: int) -> Tensor:
    """Of the k likeliest beginnings at each step the one of greatest mean log p a word: (n, L), padded beyond each row's end.

    An ended sentence stays in the beam at its sum of log p. Sutskever et al. (2014), section 3.2; k = 1 is greedy.
    """
    n, table, memory = len(memory.state), decoder.table(), memory.repeated(k)
    state, device = memory.state, memory.state.device
    total = torch.full((n, k), -torch.inf, device=device)  # of the k copies of the beginning one counts
    total[:, 0] = 0
    said = torch.full((n * k, 1), BEGIN, device=device)
    first = torch.arange(n, device=device)[:, None] * k  # (n, 1) row 0 of each sample
    for _ in range(most):
        logits, state = decoder.step(said[:, -1], state, table, memory)
        log_p = logits.float().log_softmax(1)  # (n k, V)
        ended = (said[:, -1] == END) | (said[:, -1] == PAD)
        log_p[ended] = -torch.inf
        log_p[ended, PAD] = 0
        sums = (total[..., None] + log_p.view(n, k, -1)).flatten(1)  # (n, k V)
        total, index = sums.topk(k)
        parent = (first + index // log_p.shape[1]).flatten()  # (n k,)
        state, said = state[parent], torch.cat([said[parent], (index % log_p.shape[1]).view(-1, 1)], 1)
        if bool(((said[:, -1] == END) | (said[:, -1] == PAD)).all()):
            break
    words = (said[:, 1:] != PAD).sum(1).view(n, k)
    best = first[:, 0] + (total / words).argmax(1)
    return said[best, 1:]


def chosen(decoder: Decoder, memory: Memory, *, most: int, k: int) -> Tensor:
    """Greedy where k is 1, else by a beam of k."""
    return greedy(decoder, memory, most=most) if k == 1 else beam(decoder, memory, most=most, k=k)
