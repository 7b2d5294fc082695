"""`python -m specbuild`, and the command `specbuild`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line; a signal that comes while it is imported ends it as one that comes later does."""
    try:
        from specbuild.cli import main as command

        command(prog_name="specbuild")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
