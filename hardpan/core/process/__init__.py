"""Start and stop every local process.

Every program gets an argv list, an empty stdin unless bytes are passed, a short rebuilt environment
and its own process group. The group is ended as a whole on a timeout or any error, so that no
grandchild outlives the call.
"""

from hardpan.core.process.children import open_on_socket, open_with_pipes, spawn
from hardpan.core.process.environment import find_program
from hardpan.core.process.group import Process, kill_group, terminate_group
from hardpan.core.process.pipe import pipe_through
from hardpan.core.process.runner import CompletedProcess, run
from hardpan.core.process.start import Argv

__all__ = [
    "Argv",
    "CompletedProcess",
    "Process",
    "find_program",
    "kill_group",
    "open_on_socket",
    "open_with_pipes",
    "pipe_through",
    "run",
    "spawn",
    "terminate_group",
]
