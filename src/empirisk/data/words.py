"""Words <-> numbers: the vocabulary of the training rows, and texts of unequal length side by side."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from empirisk.data.rows import Row, Rows
from empirisk.errors import RUN, Wrong, shown

PAD, UNKNOWN, BEGIN, END = range(4)
SPECIAL = ("<pad>", "<unknown>", "<begin>", "<end>")
MOST = 20_000  # Words at most, the most frequent ones.
TOKEN = re.compile(r"[^\W_]+(?:[.'-][^\W_]+)*|[.,:;?!%/()]")


def tokens(text: str) -> list[str]:
    """Words, with hyphens, points and apostrophes inside, and marks, in lower case.

    >>> tokens("No T2-weighted change of 2.5 cm.")
    ['no', 't2-weighted', 'change', 'of', '2.5', 'cm', '.']
    """
    return TOKEN.findall(text.lower())


@dataclass(frozen=True)
class Words:
    """Word <-> index, in one column of the table: 0 beyond a text's end, 1 a word that training rows do not have, 2 and 3 its ends."""

    names: tuple[str, ...]
    column: str = "text"
    ragged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Lists, as JSON gives them, become tuples."""
        object.__setattr__(self, "names", tuple(self.names))

    @classmethod
    def learn(cls, rows: Rows, columns: Sequence[str] = ("text",), least: int = 1) -> Self:
        """The words that stand at least `least` times in these columns of the training rows, the most frequent first, 20,000 at most.

        Raises Wrong (exit 2) where no row has such a text.
        """
        for column in columns:
            if not any(row.get(column) for row in rows):
                raise Wrong(f"no training row has a {column}", remedy=f"name its column with --{column}")
        count = Counter(word for row in rows for column in columns for word in tokens(row.get(column) or ""))
        ordered = sorted((word for word in count if count[word] >= least), key=lambda word: (-count[word], word))
        return cls(SPECIAL + tuple(ordered[: MOST - len(SPECIAL)]), columns[0])

    def of(self, column: str) -> "Words":
        """The same words in another column."""
        return replace(self, column=column)

    @cached_property
    def index(self) -> dict[str, int]:
        """Word -> its number."""
        return {name: i for i, name in enumerate(self.names)}

    def encode(self, row: Row) -> np.ndarray:
        """The words of the row's text and <end>, int64 (L,); raises Wrong (exit 2), naming the row, where there is no word."""
        found = tokens(row.get(self.column) or "")
        if not found:
            raise Wrong(f"the {self.column} is empty", where=shown(row["id"]), remedy="write it, or leave the row out")
        return np.array([*(self.index.get(word, UNKNOWN) for word in found), END], np.int64)

    def text(self, indices: Iterable[int]) -> str:
        """The words up to <end>.

        >>> Words((*SPECIAL, "no", "mass", ".")).text([2, 4, 5, 6, 3, 5])
        'no mass.'
        """
        said: list[str] = []
        for i in map(int, indices):
            if i == END:
                break
            said += [self.names[i]] if i not in {PAD, BEGIN} else []
        return re.sub(r" ([.,:;?!%)])", r"\1", " ".join(said))

    def write(self, row: Row, answer: str, folder: Path) -> dict[str, Any]:
        """Cells: target (empty where unknown) and prediction, both text."""
        return {"target": row.get(self.column) or "", "prediction": answer}

    def read(self, cells: Mapping[str, str]) -> tuple[Row, str]:
        """The inverse of `write`; raises Wrong (exit 3) for cells that `write` did not write."""
        try:
            return ({self.column: cells["target"]} if cells["target"] else {}), cells["prediction"]
        except KeyError as error:
            raise Wrong(f"predictions of another kind, or changed by hand: {shown(error)}", code=RUN) from error


def padded(arrays: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Arrays (L_i, ...) of unequal length -> values (n, L, ...), 0 beyond their ends, and lengths (n,) int64."""
    lengths = [len(a) for a in arrays]
    values = np.zeros((len(arrays), max(lengths), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(values, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(values), torch.tensor(lengths)


class Texts:
    """The x of some rows: the indices of their words (n, L), L those of the longest of a batch, and how many (n,)."""

    def __init__(self, words: Words, rows: Rows) -> None:
        self.values, self.lengths = padded([words.encode(row) for row in rows])

    def on(self, device: torch.device) -> "Texts":
        """They stay where they are: they are small."""
        return self

    def take(self, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """(n, L) and (n,)."""
        lengths = self.lengths[index]
        return self.values[index, : int(lengths.max())].to(device), lengths.to(device)

    def stream(self, indices: Sequence[Tensor], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """x of each index list in order."""
        return (self.take(index, device) for index in indices)
