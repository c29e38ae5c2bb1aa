"""Start podl-validator as `python -m podl_tools.validator`."""

from podl_tools.validator.cli import main

main()
