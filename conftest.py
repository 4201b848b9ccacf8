"""For every test of the workspace."""

import gc
import os
import sys

# Messages name commands as their reader types them; tests look for what is typed without uv.
os.environ.pop("UV_RUN_RECURSION_DEPTH", None)

# One thread each: pytest-xdist runs a process for each core, and more threads only wait for each
# other. Set before NumPy and PyTorch are imported; processes that tests start inherit it.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Containers often forbid bytecode files. Tests start some hundred processes, and each of them would
# compile PyTorch anew: 2 s for its import, 6 s more for an optimizer.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """Leaves what is imported by now out of later collections of garbage.

    Every environment that closes collects; going through the libraries each time took a tenth of
    all tests' time.
    """
    gc.collect()
    gc.freeze()
