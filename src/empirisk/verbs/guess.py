"""`empirisk train DATA` without an experiment: what DATA holds decides the command to type."""

from pathlib import Path

from empirisk.data.embedded import knows


def command_for(word: str) -> str:
    """The train command for some data; nothing where there are none."""
    if not (knows(word) or Path(word).exists() or Path(f"{word}.npz").exists()):
        return ""
    from empirisk.data.rows import Columns
    from empirisk.data.table import read_table
    from empirisk.verbs.data import next_command

    return next_command(word, read_table(word, Columns()))
