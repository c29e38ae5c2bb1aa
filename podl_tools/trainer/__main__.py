"""Start podl-miner as `python -m podl_tools.trainer`."""

from podl_tools.trainer.cli import main

main()
