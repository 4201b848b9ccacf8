"""`python -m miniarcade` is the `miniarcade` command."""

import sys

from miniarcade.cli import main

sys.exit(main())
