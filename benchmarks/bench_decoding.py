"""Greedy decoding against transformers' `generate`: words a second, at equal numbers of parameters and no end of a sentence.

Ours is the translator at its default width. Theirs is BART of the same width and vocabulary, with one layer each to read and to write, the
fewest that there can be, and so many hidden units that its parameters are as many; its keys and values are kept from word to word. Weights are
random; 16 words are read, which is timed too, and 64 written, by 1 and by 32 rows at once, float32, one thread and its processor time,
alternating, medians. Ends with 1 below 1.2 times their words a second.

    python benchmarks/bench_decoding.py      (pip install transformers first)
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import BartConfig, BartForConditionalGeneration, GenerationConfig

from empirisk.models.decoder import BEGIN, END, PAD, greedy
from empirisk.models.seq2seq import Translator, translator

WORDS, WIDTH, HIDDEN, READ, WRITTEN, ROUNDS, BAR = 1000, 128, 630, 16, 64, 15, 1.2


def theirs() -> nn.Module:
    """BART with about as many parameters as ours."""
    config = BartConfig(
        vocab_size=WORDS, d_model=WIDTH, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=HIDDEN, decoder_ffn_dim=HIDDEN, max_position_embeddings=WRITTEN + 1, tie_word_embeddings=True,
    )  # fmt: skip
    net = BartForConditionalGeneration(config).eval()
    net.generation_config = GenerationConfig(
        max_new_tokens=WRITTEN, do_sample=False, num_beams=1, use_cache=True,
        eos_token_id=None, pad_token_id=PAD, bos_token_id=BEGIN, decoder_start_token_id=BEGIN,
    )  # fmt: skip
    return net


def seconds(decode: Callable[[], Tensor], n: int) -> float:
    """One decoding of n rows, its length checked."""
    start = time.process_time()
    written = decode()
    taken = time.process_time() - start
    assert written.shape == (n, WRITTEN), f"{tuple(written.shape)} words"
    return taken


def rounds(ours: Translator, net: nn.Module, n: int) -> list[list[float]]:
    """Seconds of both sides for n rows, in turn."""
    x, lengths = torch.randint(4, WORDS, (n, READ)), torch.full((n,), READ)

    @torch.no_grad()
    def mine() -> Tensor:
        return greedy(ours.decoder, ours.remember((x, lengths)), most=WRITTEN)

    def other() -> Tensor:
        return net.generate(x, attention_mask=torch.ones_like(x))[:, 1:]  # theirs begins with the begin

    return [[seconds(side, n) for side in (mine, other)] for _ in range(ROUNDS + 2)][2:]


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, net = translator(WORDS, width=WIDTH).eval(), theirs()
    ours.decoder.out.bias.data[END] = -1e9  # no sentence ends
    found = {
        f"{side}_parameters": float(sum(p.numel() for p in m.parameters()))
        for side, m in (("ours", ours), ("theirs", net))
    }
    for n in (1, 32):
        times = rounds(ours, net, n)
        for side, taken in zip(("ours", "theirs"), zip(*times, strict=True), strict=True):
            found[f"{side}_words_a_second_{n}"] = n * WRITTEN / statistics.median(taken)
        found[f"ratio_{n}"] = statistics.median(b / a for a, b in times)
    print(json.dumps({"decoding": found, "bar": BAR}))
    return int(min(found["ratio_1"], found["ratio_32"]) < BAR)


if __name__ == "__main__":
    sys.exit(main())
