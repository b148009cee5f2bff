"""The program ``weightsmith``."""

import signal
import sys

from . import _native


def main() -> int:
    """Runs the program with the arguments of this process."""
    # Ctrl-C ends the program at once, as it does without Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.main(["weightsmith", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
