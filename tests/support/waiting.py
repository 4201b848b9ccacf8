"""Finds where a program would wait for a GPU."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
_WAITS = (
    _ATEN._local_scalar_dense.default,
    _ATEN.nonzero.default,
    _ATEN.masked_select.default,
    _ATEN.equal.default,
)


class WaitsForNothing(TorchDispatchMode):
    """Fails where the host needs what a tensor holds: a number, a truth, or how many entries."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function not in _WAITS, f"{function} waits"
        if function in (_ATEN.index.Tensor, _ATEN.index_put_.default):
            indices = (index for index in args[1] if index is not None)
            assert all(index.dtype != torch.bool for index in indices), f"{function} counts"
        return function(*args, **(kwargs or {}))
