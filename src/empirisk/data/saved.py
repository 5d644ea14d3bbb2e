"""The rows of a run that goes on: in their saved parts, or not at all."""

from empirisk.data.rows import Rows
from empirisk.errors import RUN, Wrong, listed


def as_saved(rows: Rows, saved: dict[str, dict[str, str]], hashes: dict[str, str]) -> tuple[Rows, list[str]]:
    """The rows in their saved parts, and the ids that were added since, which are left out.

    Raises Wrong (exit 3) if a row was removed or its pixels changed.
    """
    here = {r["id"]: r for r in rows}
    gone = [i for i in saved if i not in here]
    changed = [i for i, s in saved.items() if i in here and s["sha256"] and s["sha256"] != hashes[i]]
    for some, what in (
        (gone, f"{len(gone)} rows of the saved split are no longer in the data"),
        (changed, f"the content of {len(changed)} rows has changed since the split was saved"),
    ):
        if some:
            remedy = "bring the old files back, or train a new run"
            raise Wrong(what, where=listed(some, 5), remedy=remedy, code=RUN, reason="split")
    kept = [here[i] | {"part": s["part"], "why": s.get("why", "")} for i, s in saved.items()]
    return kept, [i for i in here if i not in saved]
