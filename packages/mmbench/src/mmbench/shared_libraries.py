"""Native libraries that do not get on with each other in one process."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys


@functools.cache
def load_triton_apart() -> None:
    """Loads triton, if it is installed, so that it finds its own LLVM and not Mesa's.

    PyTorch loads triton late: with its first optimizer, for instance. After a frame was drawn by
    Mesa's software renderer, triton's symbols would be looked up in Mesa's LLVM first, another
    version, and the process would crash.
    """
    if not hasattr(os, "RTLD_DEEPBIND") or importlib.util.find_spec("triton") is None:
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        importlib.import_module("triton._C.libtriton")
    except ImportError:
        pass  # a build without it, which nothing can load later either
    finally:
        sys.setdlopenflags(flags)
