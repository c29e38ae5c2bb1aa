"""Start the command line as `python -m regtest`."""

from regtest.cli import main

main(prog_name="python -m regtest")
