"""``python -m hardpan``."""

from hardpan.cli import main

main()
