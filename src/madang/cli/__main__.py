"""`python -m madang.cli`: the `madang` command where its script is not on the path."""

from madang.cli.entry import main

main()
