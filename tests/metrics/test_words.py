"""Scores of words equal sacrebleu's, scikit-learn's and plain definitions, and are functions of the weights of rows."""

from itertools import combinations

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sklearn.metrics import f1_score

from empirisk.metrics.words import bleu, common, exact_match, finding_f1, findings, rouge_l, scores

TERMS = ("round", "left", "large")
WORDS = (*TERMS, "a", "not", "without", ".", ",", "lesion")


def texts(seed=0, n=12):
    """Truths, and answers that are near them."""
    rng = np.random.default_rng(seed)
    truths = [[str(w) for w in rng.choice(WORDS, rng.integers(4, 14))] for _ in range(n)]
    keep = [[w if rng.random() < 0.8 else str(rng.choice(WORDS)) for w in t] for t in truths]
    return truths, [a[: rng.integers(4, len(a) + 1)] for a in keep]


def value(statistic, w):
    return float(statistic(np.asarray(w, float)[None])[0])


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_bleu_is_that_of_sacrebleu_on_the_same_tokens(n, seed):
    truths, answers = texts(seed)
    theirs = BLEU(max_ngram_order=n, tokenize="none", smooth_method="none")
    said, meant = ([" ".join(words) for words in some] for some in (answers, truths))
    assert value(bleu(truths, answers, n), np.ones(len(truths))) == pytest.approx(
        theirs.corpus_score(said, [meant]).score / 100
    )
    long = [t + ["a", "a"] for t in meant_words(meant)]  # longer than the truth: no penalty for being brief
    found = value(bleu(truths, long, n), np.ones(len(truths)))
    assert found == pytest.approx(theirs.corpus_score([" ".join(w) for w in long], [meant]).score / 100)


def meant_words(meant):
    return [text.split() for text in meant]


def test_a_corpus_without_a_run_of_four_has_no_bleu4_and_one_said_as_meant_has_one():
    truths = [["a", "round", "lesion", "."]]
    assert value(bleu(truths, [["a", "round", "nodule", "."]], 4), [1]) == 0
    assert value(bleu(truths, [[]], 1), [1]) == 0
    assert value(bleu(truths, truths, 4), [1]) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_the_longest_common_subsequence_is_that_of_all_subsequences(seed):
    rng = np.random.default_rng(seed)
    a, b = ("".join(rng.choice(list("abc"), 8)) for _ in range(2))
    every = [{"".join(c) for c in combinations(s, k)} for s in (a, b) for k in range(9)]
    assert common(a, b) == max(k for k in range(9) if every[k] & every[9 + k])


def test_rouge_l_is_the_mean_of_the_f1_of_both_lengths():
    assert value(rouge_l([["a", "b", "c"], ["a"]], [["a", "c"], ["b"]]), [1, 1]) == pytest.approx((2 * 2 / 5 + 0) / 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a large round lesion .", {"large", "round"}),
        ("a large lesion , not round .", {"large"}),
        ("a large lesion is not round . it is left .", {"large", "left"}),
        ("without round or large lesion", set()),
    ],
)
def test_a_finding_that_its_clause_denies_is_none(text, expected):
    assert findings(text.split(), TERMS) == expected


@pytest.mark.parametrize("seed", range(3))
def test_the_f1_of_findings_is_scikit_learns_micro_average(seed):
    truths, answers = texts(seed)
    y, f = (np.array([[t in findings(words, TERMS) for t in TERMS] for words in some]) for some in (truths, answers))
    found = value(finding_f1(truths, answers, TERMS), np.ones(len(truths)))
    assert found == pytest.approx(f1_score(y, f, average="micro"))


def test_a_weight_of_two_is_the_row_twice_and_of_none_is_its_absence():
    truths, answers = texts(5, 6)
    w = [2, 1, 0, 1, 3, 1]
    index = np.repeat(np.arange(6), w)
    again = scores([truths[i] for i in index], [answers[i] for i in index], TERMS)
    for name, statistic in scores(truths, answers, TERMS).items():
        assert value(statistic, w) == pytest.approx(value(again[name], np.ones(len(index)))), name


def test_without_terms_there_is_no_f1_of_findings_and_an_exact_match_is_word_by_word():
    assert "finding_f1" not in scores([["a"]], [["a"]], ())
    assert value(exact_match([["a", "b"], ["a"]], [["a", "b"], ["a", "b"]]), [1, 1]) == 0.5
