"""`python -m stack`: the command line that `./sagakart` passes its arguments to."""

from stack.cli import main

main()
