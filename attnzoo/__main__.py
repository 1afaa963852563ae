"""`python -m attnzoo` is the command `attnzoo`."""

import sys

from attnzoo.cli import main

sys.exit(main())
