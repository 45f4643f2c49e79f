"""`python -m polyreel.cli` is `polyreel`; torchrun starts modules, not commands."""

import sys

from polyreel.cli import main

if __name__ == "__main__":
    sys.exit(main())
