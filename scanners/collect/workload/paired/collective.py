"""Two processes that share a tensor, or join in a collective operation over the loopback."""

import datetime
import os
import tempfile
from typing import Any, Callable

from .tools import Half, both, broken, judged, unasked

_WAIT = datetime.timedelta(seconds=20)
_VALUES = 1 << 14


def shared_tensor(torch: Any) -> Half:
    """A second process writes to a tensor in shared memory, the first reads it."""
    tensor = torch.zeros(_VALUES).share_memory_()
    if not tensor.is_shared():
        return broken("the tensor is not in shared memory")
    code = _ended(_fork(lambda: bool(tensor.fill_(7.0).numel())))
    total = float(tensor.sum())
    return judged(
        code == 0 and total == 7.0 * _VALUES,
        f"{_VALUES} values written by a second process, their sum is {total:g}",
    )


def allreduce(torch: Any, folder: str) -> Half:
    """A sum over two processes by gloo: a parent with its child, and two siblings."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        return unasked("this torch is built without distributed operations by gloo")
    if not folder:
        return unasked("no folder in which two processes can meet")
    with tempfile.TemporaryDirectory(prefix="hardpan-paired-", dir=folder) as room:
        siblings = [_fork(lambda n=n: _sum(torch, room + "/siblings", n)) for n in (0, 1)]
        apart = [_ended(child) for child in siblings]
        child = _fork(lambda: _sum(torch, room + "/family", 1))
        ours = _sum(torch, room + "/family", 0)
        theirs = _ended(child)
    return both(
        judged(apart == [0, 0], f"siblings: {'right' if apart == [0, 0] else 'failed'}"),
        judged(
            ours and theirs == 0,
            f"parent and child: {'right' if ours and theirs == 0 else 'failed'}",
        ),
    )


def _sum(torch: Any, meeting: str, rank: int) -> bool:
    """Whether one and two are three."""
    gloo = torch.distributed.ProcessGroupGloo
    # By its address: asking for the interface's name needs AF_NETLINK, which services lack.
    how = gloo._Options()
    how._devices = [gloo.create_device(hostname="127.0.0.1")]
    how._timeout = _WAIT
    group = gloo(torch.distributed.FileStore(meeting, 2), rank, 2, how)
    value = torch.tensor([rank + 1.0])
    group.allreduce([value]).wait()
    return float(value) == 3.0


def _fork(work: Callable[[], bool]) -> int:
    """The id of a process that ends with 0 when ``work`` is true."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = 0 if work() else 1
    finally:
        os._exit(code)


def _ended(child: int) -> int:
    return os.waitpid(child, 0)[1]
