"""The AI actions, in the AI service's confinement: its user, its sandbox, its Python.

torch is imported once; every probe runs in a fork of that process.
"""

import ctypes
import errno
import hashlib
import mmap
import os
import pwd
import shutil
import struct
import sys
from typing import Any, Dict, Iterator, List, Tuple

from . import collective, egress, native, packages
from .probes import Probe, guarded, probed
from .tools import Half, broken, holds, judged, trouble, unasked

_CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "NUMBA_CACHE_DIR")
_COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "clang++")
_LOCKED = 32 << 20
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_torch: Any = None


def main(sent: Dict[str, Any]) -> None:
    """Run the probes that were asked for, the cheap ones first."""
    probes = list(_PLAIN.items()) if sent["plain"] else []
    probed(probes, sent["budget_s"])
    if sent["torch"]:
        imported = guarded(_import_torch)
        # What must not run in a fork: the import itself, which all others build on.
        probed([("torch", lambda: imported)], 5)
        probed(_with_torch(imported), sent["budget_s"])
    probed([("packages", packages.imported)], sent["packages_s"])


def jit_folder() -> str:
    """Where the service's JIT may write: what its environment says, or the convention."""
    return next(_jit_folders(), "")


def _jit_folders() -> Iterator[str]:
    root = "/var/lib/ai/jit"
    named = [os.environ[n] for n in _CACHES if os.environ.get(n, "").startswith("/")]
    below: List[str] = []
    if os.access(root, os.R_OK):
        below = sorted(os.path.join(root, n) for n in os.listdir(root))
    # A service without a JIT folder of its own has its state there, on the same file system.
    for folder in [*named, *below, root, os.path.expanduser("~")]:
        here = folder
        while len(here) > len("/var/lib") and not os.path.isdir(here):
            here = os.path.dirname(here)
        if os.path.isdir(here) and os.access(here, os.W_OK) and here.startswith("/var/lib/ai"):
            yield here


def _jit() -> Half:
    folder = jit_folder()
    if not folder:
        return unasked("no JIT folder below /var/lib/ai that the service may write to")
    return native.loads_from(folder)


def _tmp() -> Half:
    """The control's half: the same shared object is refused from /tmp."""
    outcome, found = native.loads_from("/tmp")
    if outcome == "holds":
        return broken(found)
    return holds(found) if outcome == "broken" else (outcome, found)


def _home() -> Half:
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    outside = os.path.isabs(home) and not (home + "/").startswith(("/home/", "/root/"))
    writable = os.path.isdir(home) and os.access(home, os.W_OK)
    return judged(outside and writable, f"{home}, {'' if writable else 'not '}writable")


def _compiler() -> Half:
    found = [shutil.which(n) for n in _COMPILERS]
    there = sorted({str(p) for p in found if p})
    return judged(not there, f"found {', '.join(there)}" if there else "no compiler on the path")


def _md5() -> Half:
    """The control's half: MD5 for security is refused; for other uses it may be there."""
    try:
        hashlib.md5()  # noqa: S324
    except ValueError as e:
        return holds(f"hashlib.md5(): ValueError ({str(e)[:60]}), {_md5_otherwise()}")
    return broken("hashlib.md5() works")


def _md5_otherwise() -> str:
    try:
        hashlib.md5(usedforsecurity=False)
    except ValueError:
        return "with usedforsecurity=False too"
    return "with usedforsecurity=False it works"


def _canary() -> Half:
    """A program that no package brought, outside of the JIT folder."""
    where = [os.environ.get("TMPDIR", ""), os.path.expanduser("~"), "/var/lib/ai/tmp"]
    folder = next((f for f in where if f.startswith("/var/lib") and os.access(f, os.W_OK)), "")
    if not folder:
        return unasked("no folder outside of noexec mounts that the service may write to")
    path = os.path.join(folder, f"hardpan-paired-canary-{os.getpid()}")
    try:
        shutil.copyfile("/usr/bin/true", path)
        os.chmod(path, 0o700)
        code = os.spawnv(os.P_WAIT, path, [path])  # noqa: S606
    finally:
        if os.path.exists(path):
            os.unlink(path)
    if code == 127:  # what spawnv says of a program that the kernel did not start
        return holds(f"{folder}: a program that no package brought is refused")
    return broken(f"{folder}: a program that no package brought runs (exit code {code})")


def _mlock() -> Half:
    libc = ctypes.CDLL(None, use_errno=True)
    room = mmap.mmap(-1, _LOCKED)
    at = ctypes.addressof(ctypes.c_char.from_buffer(room))
    failed = libc.mlock(ctypes.c_void_p(at), ctypes.c_size_t(_LOCKED))
    why = "" if not failed else f": {os.strerror(ctypes.get_errno())}"
    return judged(not failed, f"mlock of {_LOCKED >> 20} MiB{why or ' works'}")


def _dmesg() -> Half:
    """The control's half: the kernel's log is closed to the service."""
    libc = ctypes.CDLL(None, use_errno=True)
    room = ctypes.create_string_buffer(4096)
    if libc.klogctl(3, room, len(room)) >= 0:
        return broken("the service can read the kernel's log")
    number = ctypes.get_errno()
    refused = number in (errno.EPERM, errno.EACCES)
    return judged(refused, f"kernel's log: {os.strerror(number)}")


def perf() -> Half:
    """A software counter of the kernel's own time: ``holds`` when it opens."""
    number = _PERF_EVENT_OPEN.get(os.uname().machine)
    if number is None:
        return unasked(f"no system call known for {os.uname().machine}")
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("<II", 1, 112).ljust(112, b"\0")  # a software event, cpu-clock
    got = libc.syscall(number, attributes, 0, -1, -1, ctypes.c_ulong(0))
    if got >= 0:
        os.close(got)
        return holds("a counter of the kernel opens")
    why = ctypes.get_errno()
    if why in (errno.EPERM, errno.EACCES):
        return broken(f"a counter of the kernel: {os.strerror(why)}")
    return unasked(f"a counter of the kernel: {os.strerror(why)}")


def _perf() -> Half:
    """The control's half: it does not open for the service."""
    outcome, found = perf()
    turned = {"holds": "broken", "broken": "holds"}
    return turned.get(outcome, outcome), found


def _code() -> Half:
    """The control's half: the service may not write to the stacks' code."""
    root = "/opt/ai/stacks"
    if not os.path.isdir(root) or not os.listdir(root):
        return unasked("no stack in /opt/ai/stacks")
    open_to_us = []
    looked = 0
    for folder, _, files in os.walk(root):
        for name in [".", *files]:
            path = os.path.join(folder, name)
            looked += 1
            kind = os.lstat(path)
            loose = kind.st_uid != 0 or (kind.st_mode & 0o022 and not os.path.islink(path))
            if loose:
                open_to_us.append(path)
        if looked > packages.MOST_FILES or len(open_to_us) > 3:
            break
    if open_to_us:
        return broken(f"not root's alone: {', '.join(open_to_us[:3])}")
    return holds(f"{looked} files and folders looked at, all root's alone")


def _import_torch() -> Half:
    global _torch  # noqa: PLW0603 - one process, one import
    try:
        import torch
    except (ImportError, OSError, RuntimeError, ValueError, AttributeError) as e:
        if isinstance(e, ModuleNotFoundError) and e.name == "torch":
            return unasked(f"no torch is installed for {sys.executable}")
        return broken(f"import torch: {e}")
    if not hasattr(torch, "set_num_threads"):
        return broken("import torch: an empty folder of that name, or one that is closed to us")
    _torch = torch
    torch.set_num_threads(1)
    return holds(f"torch {torch.__version__} on {sys.executable}")


def _with_torch(imported: Half) -> List[Tuple[str, Probe]]:
    if imported[0] != "holds":
        why = unasked(f"torch was not imported: {imported[1]}")
        return [(name, lambda: why) for name in ("matmul", "shm", "allreduce", "gpu")]
    return [
        ("matmul", lambda: _product("cpu")),
        ("shm", lambda: collective.shared_tensor(_torch)),
        ("allreduce", lambda: collective.allreduce(_torch, jit_folder())),
        ("gpu", _gpu),
    ]


def _gpu() -> Half:
    if not _torch.cuda.is_available():
        return unasked("torch sees no GPU")
    return _product("cuda")


def _product(device: str) -> Half:
    """A float32 product of random numbers against the same in float64."""
    made = _torch.Generator().manual_seed(20261121)
    a, b = (_torch.randn(256, 256, generator=made) for _ in range(2))
    exact = a.double() @ b.double()
    found = (a.to(device) @ b.to(device)).cpu().double()
    error = float((found - exact).abs().max() / exact.abs().max())
    known = _torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    small = (known @ known).flatten().tolist()
    if small != [7.0, 10.0, 15.0, 22.0]:
        return broken(f"a product of two by two on {device} is {small}")
    if not error < (1e-4 if device == "cpu" else 1e-2):  # GPUs may use TF32
        return broken(f"a product on {device} is off by {error:.1e}")
    return holds(f"a product on {device} is off by {error:.1e}")


def _started() -> Half:
    user = pwd.getpwuid(os.getuid()).pw_name
    return holds(f"runs as {user}") if os.getuid() else trouble("runs as root")


_PLAIN = {
    "started": _started,
    "jit": _jit,
    "tmp": _tmp,
    "home": _home,
    "compiler": _compiler,
    "md5": _md5,
    "canary": _canary,
    "mlock": _mlock,
    "dmesg": _dmesg,
    "perf": _perf,
    "code": _code,
    "egress": egress.denied,
}
"""Name -> what needs no torch."""
