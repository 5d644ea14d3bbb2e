"""python -m empirisk."""

from empirisk.cli import main

main()
