"""Two processes that share a tensor, or run a collective operation over the loopback."""

import datetime
import functools
import os
import tempfile
from typing import Any, Callable

from .tools import ProbeResult, combine, not_tested, satisfied_if, violated

_TIMEOUT = datetime.timedelta(seconds=20)
_VALUES = 1 << 14


def check_shared_tensor(torch: Any) -> ProbeResult:
    """A second process writes to a tensor in shared memory, the first reads it."""
    tensor = torch.zeros(_VALUES).share_memory_()
    if not tensor.is_shared():
        return violated("the tensor is not in shared memory")
    code = _wait_for(_fork(lambda: bool(tensor.fill_(7.0).numel())))
    total = float(tensor.sum())
    return satisfied_if(
        code == 0 and total == 7.0 * _VALUES,
        f"{_VALUES} values written by a second process, their sum is {total:g}",
    )


def check_allreduce(torch: Any, folder: str) -> ProbeResult:
    """A sum over two processes by gloo: a parent with its child, and two siblings."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        return not_tested("this torch is built without distributed operations by gloo")
    if not folder:
        return not_tested("no folder for the rendezvous file of two processes")
    with tempfile.TemporaryDirectory(prefix="hardpan-compatibility-", dir=folder) as store_folder:
        store_path = store_folder + "/siblings"
        siblings = [
            _fork(functools.partial(_is_sum_right, torch, store_path, rank)) for rank in (0, 1)
        ]
        sibling_statuses = [_wait_for(child) for child in siblings]
        child = _fork(lambda: _is_sum_right(torch, store_folder + "/family", 1))
        is_parent_right = _is_sum_right(torch, store_folder + "/family", 0)
        child_status = _wait_for(child)
    return combine(
        satisfied_if(
            sibling_statuses == [0, 0],
            f"siblings: {'right' if sibling_statuses == [0, 0] else 'failed'}",
        ),
        satisfied_if(
            is_parent_right and child_status == 0,
            f"parent and child: {'right' if is_parent_right and child_status == 0 else 'failed'}",
        ),
    )


def _is_sum_right(torch: Any, store_path: str, rank: int) -> bool:
    """Return whether the sum over both ranks is correct."""
    gloo = torch.distributed.ProcessGroupGloo
    # By its address: asking for the interface's name needs AF_NETLINK, which services lack.
    options = gloo._Options()
    options._devices = [gloo.create_device(hostname="127.0.0.1")]
    options._timeout = _TIMEOUT
    group = gloo(torch.distributed.FileStore(store_path, 2), rank, 2, options)
    value = torch.tensor([rank + 1.0])
    group.allreduce([value]).wait()
    return float(value) == 3.0


def _fork(work: Callable[[], bool]) -> int:
    """Start a process that exits with 0 if ``work`` is true; return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = 0 if work() else 1
    finally:
        os._exit(code)


def _wait_for(child: int) -> int:
    return os.waitpid(child, 0)[1]
