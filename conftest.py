"""For every test of the workspace."""

import os

# Messages name commands as their reader types them; tests look for what is typed without uv.
os.environ.pop("UV_RUN_RECURSION_DEPTH", None)
