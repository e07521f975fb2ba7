"""The door of the command line: `python -m geodesic_cli` and the script `geodesic`."""

import sys

from geodesic_cli.errors import GeodesicError


def main() -> None:
    """Run the command line. A `GeodesicError` is one sentence on stderr and exit code 1; a bug keeps its traceback."""
    from geodesic_cli.cli.app import app

    try:
        app()
    except GeodesicError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
