"""Start podl-requester as `python -m podl_tools.requester`."""

from podl_tools.requester.cli import main

main()
