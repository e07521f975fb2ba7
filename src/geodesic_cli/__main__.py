"""The door of the command line: `python -m geodesic_cli` and the script `geodesic`."""

import json
import sys

from geodesic_cli.cli.signals import exit_code_of, heed_stop_signals
from geodesic_cli.errors import GeodesicError, not_permitted

WHOLE_HELP = (["-h"], ["--help"])
"""What is typed for the help of the whole, which needs no options of the commands."""


def main() -> None:
    """Run the command line. A `GeodesicError` is one sentence on stderr and exit code 1; a bug keeps its traceback.

    With --json it is an object on stdout, too: what is wrong under `error`, and what would do under `do`.
    """
    heed_stop_signals()
    try:
        if sys.argv[1:] in WHOLE_HELP:
            from geodesic_cli.cli.outline import outline as app
        else:
            from geodesic_cli.cli.app import app
        app()
    except (GeodesicError, PermissionError) as failure:
        error = not_permitted(failure) if isinstance(failure, PermissionError) else failure
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps({"error": error.message, "do": error.hint}) + "\n")
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt as stop:  # before a verb has begun; a verb says how to go on
        sys.stderr.write("Interrupted.\n")
        sys.exit(exit_code_of(stop))


if __name__ == "__main__":
    main()
