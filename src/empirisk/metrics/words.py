"""How near words are to the true ones; all take truths and answers as lists of words, one list a row."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from empirisk.estimate import Metric, Statistic, mean, ratio

Said = Sequence[Sequence[str]]
"""The words of each row."""
NEGATIONS = frozenset({"no", "not", "without"})
ENDS = frozenset(".,;:")
"""Where what a negation says ends."""


def bleu(truths: Said, answers: Said, n: int) -> Metric:
    """BLEU-n of a corpus, min(1, e^(1 - r/c)) (prod_k p_k)^(1/n), p_k = clipped k-grams / k-grams of the answers, k = 1..n.

    r and c are the words of truths and answers, all sums over rows; 0 where a p_k is 0, without smoothing.
    Papineni et al., ACL 2002, section 2.3.
    """
    table = np.array([_counts(t, a, n) for t, a in zip(truths, answers, strict=True)], float).reshape(-1, 2 * n + 2)

    def of(w: np.ndarray) -> np.ndarray:
        sums = w @ table  # (B, 2 n + 2)
        clipped, grams, r, c = sums[:, :n], sums[:, n : 2 * n], sums[:, -2], sums[:, -1]
        p = np.divide(clipped, grams, out=np.zeros_like(grams), where=grams > 0)
        with np.errstate(divide="ignore"):
            log = np.log(p).mean(1) + np.minimum(0, 1 - np.divide(r, c, out=np.full_like(r, np.inf), where=c > 0))
        return np.where(w.sum(1) > 0, np.exp(log), np.nan)

    return Metric(of, (np.ones(len(table), bool),))


def _counts(truth: Sequence[str], answer: Sequence[str], n: int) -> list[int]:
    """Clipped k-grams for k = 1..n, k-grams of the answer, words of the truth, words of the answer."""
    clipped, grams = [], []
    for k in range(1, n + 1):
        theirs, mine = (Counter(zip(*(words[i:] for i in range(k)), strict=False)) for words in (truth, answer))
        clipped.append((mine & theirs).total())
        grams.append(mine.total())
    return [*clipped, *grams, len(truth), len(answer)]


def rouge_l(truths: Said, answers: Said) -> Metric:
    """Mean of 2 l / (m + n), l the longest common subsequence of m and n words. Lin (2004), section 3, with beta = 1."""
    values = []
    for t, a in zip(truths, answers, strict=True):
        values.append(2 * common(t, a) / (len(t) + len(a)) if t or a else 1.0)
    return mean(np.array(values))


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    >>> common("police killed the gunman".split(), "police kill the gunman".split())
    3
    """
    row = [0] * (len(b) + 1)
    for word in a:
        before, row = row, [0]
        for j, other in enumerate(b):
            row.append(before[j] + 1 if word == other else max(row[j], before[j + 1]))
    return row[-1]


def findings(words: Sequence[str], terms: Collection[str]) -> set[str]:
    """The terms that a text affirms: those that no negation before them in their clause takes back.

    >>> sorted(findings("a round nodule , not spiculated , on the left".split(), {"round", "spiculated", "left"}))
    ['left', 'round']
    """
    found, denied = set[str](), False
    for word in words:
        denied = word not in ENDS and (denied or word in NEGATIONS)
        if word in terms and not denied:
            found.add(word)
    return found


def finding_f1(truths: Said, answers: Said, terms: Collection[str]) -> Metric:
    """2 TP / (2 TP + FP + FN) over the terms that truth and answer affirm, summed over rows; undefined where there are none."""
    sets = [(findings(t, terms), findings(a, terms)) for t, a in zip(truths, answers, strict=True)]
    table = np.array([(2 * len(t & a), len(t) + len(a)) for t, a in sets], float).reshape(-1, 2)

    def of(w: np.ndarray) -> np.ndarray:
        sums = w @ table  # (B, 2)
        return ratio(sums[:, 0], sums[:, 1])

    return Metric(of, (table[:, 1] > 0,), "no finding")


def exact_match(truths: Said, answers: Said) -> Metric:
    """Share of the answers that are the truth, word by word."""
    return mean(np.array([list(t) == list(a) for t, a in zip(truths, answers, strict=True)], bool))


def scores(truths: Said, answers: Said, terms: Collection[str]) -> dict[str, Statistic]:
    """Every metric of words, BLEU-4 first; the F1 of findings where there are terms of them."""
    out: dict[str, Statistic] = {f"bleu{n}": bleu(truths, answers, n) for n in (4, 3, 2, 1)}
    out |= {"rouge_l": rouge_l(truths, answers), "exact_match": exact_match(truths, answers)}
    return out | ({"finding_f1": finding_f1(truths, answers, terms)} if terms else {})
