"""The workload checks, in the AI service's confinement: its user, its sandbox, its Python.

torch is imported once; every probe runs in a child of that process.
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
from .probes import Probe, run_guarded, run_probes
from .tools import ProbeResult, error, not_tested, satisfied, satisfied_if, violated

_CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "NUMBA_CACHE_DIR")
_COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "clang++")
_LOCKED_BYTES = 32 << 20
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_torch: Any = None


def main(arguments: Dict[str, Any]) -> None:
    """Run the requested probes, the cheap ones first."""
    probes = list(_PLAIN_PROBES.items()) if arguments["plain"] else []
    run_probes(probes, arguments["budget_s"])
    if arguments["torch"]:
        imported = run_guarded(_import_torch)
        # The import itself must not run in a child: all other probes need it.
        run_probes([("torch", lambda: imported)], 5)
        run_probes(_torch_probes(imported), arguments["budget_s"])
    run_probes([("packages", packages.check_imports)], arguments["packages_s"])


def find_jit_folder() -> str:
    """Return the service's writable JIT folder: from its environment, or the default."""
    return next(_iter_jit_folders(), "")


def _iter_jit_folders() -> Iterator[str]:
    root = "/var/lib/ai/jit"
    configured = [os.environ[n] for n in _CACHES if os.environ.get(n, "").startswith("/")]
    below: List[str] = []
    if os.access(root, os.R_OK):
        below = sorted(os.path.join(root, n) for n in os.listdir(root))
    # A service without a JIT folder of its own has its state there, on the same file system.
    for folder in [*configured, *below, root, os.path.expanduser("~")]:
        existing = folder
        while len(existing) > len("/var/lib") and not os.path.isdir(existing):
            existing = os.path.dirname(existing)
        if (
            os.path.isdir(existing)
            and os.access(existing, os.W_OK)
            and existing.startswith("/var/lib/ai")
        ):
            yield existing


def _check_jit() -> ProbeResult:
    folder = find_jit_folder()
    if not folder:
        return not_tested("no JIT folder below /var/lib/ai that the service may write to")
    return native.check_loads_from(folder)


def _check_tmp_noexec() -> ProbeResult:
    """Control check: the same shared object is refused from /tmp."""
    outcome, observed = native.check_loads_from("/tmp")
    if outcome == "satisfied":
        return violated(observed)
    return satisfied(observed) if outcome == "violated" else (outcome, observed)


def _check_home() -> ProbeResult:
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    is_outside_home = os.path.isabs(home) and not (home + "/").startswith(("/home/", "/root/"))
    is_writable = os.path.isdir(home) and os.access(home, os.W_OK)
    return satisfied_if(
        is_outside_home and is_writable, f"{home}, {'' if is_writable else 'not '}writable"
    )


def _check_no_compiler() -> ProbeResult:
    paths = [shutil.which(n) for n in _COMPILERS]
    compilers = sorted({str(p) for p in paths if p})
    return satisfied_if(
        not compilers, f"found {', '.join(compilers)}" if compilers else "no compiler on the path"
    )


def _check_md5_refused() -> ProbeResult:
    """Control check: MD5 for security is refused; for other uses it may work."""
    try:
        hashlib.md5()  # noqa: S324
    except ValueError as e:
        return satisfied(f"hashlib.md5(): ValueError ({str(e)[:60]}), {_describe_other_md5()}")
    return violated("hashlib.md5() works")


def _describe_other_md5() -> str:
    try:
        hashlib.md5(usedforsecurity=False)
    except ValueError:
        return "with usedforsecurity=False too"
    return "with usedforsecurity=False it works"


def _check_untrusted_program() -> ProbeResult:
    """A program that belongs to no package, outside of the JIT folder."""
    candidates = [os.environ.get("TMPDIR", ""), os.path.expanduser("~"), "/var/lib/ai/tmp"]
    folder = next((f for f in candidates if f.startswith("/var/lib") and os.access(f, os.W_OK)), "")
    if not folder:
        return not_tested("no folder outside of noexec mounts that the service may write to")
    path = os.path.join(folder, f"hardpan-compatibility-canary-{os.getpid()}")
    try:
        shutil.copyfile("/usr/bin/true", path)
        os.chmod(path, 0o700)
        code = os.spawnv(os.P_WAIT, path, [path])  # noqa: S606
    finally:
        if os.path.exists(path):
            os.unlink(path)
    if code == 127:  # spawnv's exit code for a program that the kernel did not start
        return satisfied(f"{folder}: a program that belongs to no package is refused")
    return violated(f"{folder}: a program that belongs to no package runs (exit code {code})")


def _check_mlock() -> ProbeResult:
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = mmap.mmap(-1, _LOCKED_BYTES)
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    failed = libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(_LOCKED_BYTES))
    reason = "" if not failed else f": {os.strerror(ctypes.get_errno())}"
    return satisfied_if(not failed, f"mlock of {_LOCKED_BYTES >> 20} MiB{reason or ' works'}")


def _check_dmesg_refused() -> ProbeResult:
    """Control check: the service cannot read the kernel's log."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(4096)
    if libc.klogctl(3, buffer, len(buffer)) >= 0:
        return violated("the service can read the kernel's log")
    error_number = ctypes.get_errno()
    refused = error_number in (errno.EPERM, errno.EACCES)
    return satisfied_if(refused, f"kernel's log: {os.strerror(error_number)}")


def check_perf_counter() -> ProbeResult:
    """A software counter of the kernel's own time: ``satisfied`` if it opens."""
    number = _PERF_EVENT_OPEN.get(os.uname().machine)
    if number is None:
        return not_tested(f"no system call known for {os.uname().machine}")
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("<II", 1, 112).ljust(112, b"\0")  # a software event, cpu-clock
    descriptor = libc.syscall(number, attributes, 0, -1, -1, ctypes.c_ulong(0))
    if descriptor >= 0:
        os.close(descriptor)
        return satisfied("a counter of the kernel opens")
    error_number = ctypes.get_errno()
    if error_number in (errno.EPERM, errno.EACCES):
        return violated(f"a counter of the kernel: {os.strerror(error_number)}")
    return not_tested(f"a counter of the kernel: {os.strerror(error_number)}")


def _check_perf_refused() -> ProbeResult:
    """Control check: it does not open for the service."""
    outcome, observed = check_perf_counter()
    inverted = {"satisfied": "violated", "violated": "satisfied"}
    return inverted.get(outcome, outcome), observed


def _check_code_permissions() -> ProbeResult:
    """Control check: the service cannot write to the stacks' code."""
    root = "/opt/ai/stacks"
    if not os.path.isdir(root) or not os.listdir(root):
        return not_tested("no stack in /opt/ai/stacks")
    writable_paths = []
    inspected_count = 0
    for folder, _, files in os.walk(root):
        for name in [".", *files]:
            path = os.path.join(folder, name)
            inspected_count += 1
            status = os.lstat(path)
            is_writable = status.st_uid != 0 or (
                status.st_mode & 0o022 and not os.path.islink(path)
            )
            if is_writable:
                writable_paths.append(path)
        if inspected_count > packages.MAX_FILES or len(writable_paths) > 3:
            break
    if writable_paths:
        return violated(f"writable for others than root: {', '.join(writable_paths[:3])}")
    return satisfied(f"{inspected_count} files and folders inspected, all writable only for root")


def _import_torch() -> ProbeResult:
    global _torch  # noqa: PLW0603 - one process, one import
    try:
        import torch
    except (ImportError, OSError, RuntimeError, ValueError, AttributeError) as e:
        if isinstance(e, ModuleNotFoundError) and e.name == "torch":
            return not_tested(f"no torch is installed for {sys.executable}")
        return violated(f"import torch: {e}")
    if not hasattr(torch, "set_num_threads"):
        return violated("import torch: the folder of that name is empty or not readable")
    _torch = torch
    torch.set_num_threads(1)
    return satisfied(f"torch {torch.__version__} on {sys.executable}")


def _torch_probes(imported: ProbeResult) -> List[Tuple[str, Probe]]:
    if imported[0] != "satisfied":
        no_torch = not_tested(f"torch was not imported: {imported[1]}")
        return [(name, lambda: no_torch) for name in ("matmul", "shm", "allreduce", "gpu")]
    return [
        ("matmul", lambda: _check_product("cpu")),
        ("shm", lambda: collective.check_shared_tensor(_torch)),
        ("allreduce", lambda: collective.check_allreduce(_torch, find_jit_folder())),
        ("gpu", _check_gpu_product),
    ]


def _check_gpu_product() -> ProbeResult:
    if not _torch.cuda.is_available():
        return not_tested("torch sees no GPU")
    return _check_product("cuda")


def _check_product(device: str) -> ProbeResult:
    """A float32 product of random numbers against the same in float64."""
    generator = _torch.Generator().manual_seed(20261121)
    a, b = (_torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    product = (a.to(device) @ b.to(device)).cpu().double()
    error = float((product - exact).abs().max() / exact.abs().max())
    small_matrix = _torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    small = (small_matrix @ small_matrix).flatten().tolist()
    if small != [7.0, 10.0, 15.0, 22.0]:
        return violated(f"a product of two by two on {device} is {small}")
    if not error < (1e-4 if device == "cpu" else 1e-2):  # GPUs may use TF32
        return violated(f"a product on {device} is off by {error:.1e}")
    return satisfied(f"a product on {device} is off by {error:.1e}")


def _check_user() -> ProbeResult:
    user = pwd.getpwuid(os.getuid()).pw_name
    return satisfied(f"runs as {user}") if os.getuid() else error("runs as root")


_PLAIN_PROBES = {
    "started": _check_user,
    "jit": _check_jit,
    "tmp": _check_tmp_noexec,
    "home": _check_home,
    "compiler": _check_no_compiler,
    "md5": _check_md5_refused,
    "canary": _check_untrusted_program,
    "mlock": _check_mlock,
    "dmesg": _check_dmesg_refused,
    "perf": _check_perf_refused,
    "code": _check_code_permissions,
    "egress": egress.check_egress_denied,
}
"""Name -> probe that needs no torch."""
