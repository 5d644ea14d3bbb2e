"""The one error that a person reads: what was wrong, where, what is kept, what to do."""

import difflib
import json
import os
import unicodedata
from collections.abc import Iterable, Sequence

USE, RUN, INTERRUPTED, TERMINATED = 2, 3, 130, 143
"""Exit codes: wrong use or refused input; the run could not go on; SIGINT; SIGTERM."""


class Wrong(Exception):
    """Something that the reader can mend. Printed as a block of at most five lines, never as a traceback.

    `what` happened; `where` (file, row, patient); what is `kept`; the `remedy`; the exit `code`; a one-word `reason` for --json.

    >>> print(Wrong("label 'x' is unknown", where="table.csv row 3", remedy="correct the file"))
    label 'x' is unknown
      table.csv row 3
      correct the file
    """

    def __init__(
        self, what: str, *, where: str = "", kept: str = "", remedy: str = "", code: int = USE, reason: str = "input"
    ) -> None:
        super().__init__("\n  ".join(shown(line, limit=600) for line in (what, where, kept, remedy) if line))
        self.what, self.where, self.kept, self.remedy, self.code, self.reason = what, where, kept, remedy, code, reason


def handed_over(wrong: Wrong) -> bool:
    """Whether the process that started this one will say it: a worker leaves its words in the file EMPIRISK_WORD and ends in order.

    So no worker is started again for what would come again; one that another's end stopped leaves none, and is.
    """
    path = os.environ.get("EMPIRISK_WORD", "")
    if path and wrong.reason != "worker" and not os.path.exists(path):
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(vars(wrong) | {"text": str(wrong)}, file)
    return bool(path) and os.path.exists(path)


def shown(text: object, limit: int = 200) -> str:
    r"""A name safe to print anywhere: undecodable bytes, control and direction characters escaped, cut to `limit`.

    >>> shown(b"a\xff\n".decode("utf-8", "surrogateescape"))
    'a\\xff\\n'
    """
    whole = ""
    for c in str(text):
        if "\udc80" <= c <= "\udcff":  # a byte of a file name that is not UTF-8
            c = f"\\x{ord(c) - 0xDC00:02x}"
        elif unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            c = c.encode("unicode_escape").decode()
        whole += c
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"


def near(word: str, words: Iterable[str]) -> str:
    """A question that names the nearest known word, or nothing.

    >>> near("resnet81", ["resnet18", "mlp"])
    'Did you mean "resnet18"?'
    """
    found = difflib.get_close_matches(word, list(words), 1, 0.6)
    return f'Did you mean "{shown(found[0])}"?' if found else ""


def listed(items: Sequence[object], most: int = 8) -> str:
    """The first `most` items, then how many more.

    >>> listed([1, 2, 3], 2)
    '1, 2 and 1 more'
    """
    text = ", ".join(shown(i) for i in items[:most])
    return text if len(items) <= most else f"{text} and {len(items) - most} more"
