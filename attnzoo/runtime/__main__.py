"""`python -m attnzoo.runtime` is the command `attnzoo-run`."""

import sys

from .command import main

sys.exit(main())
