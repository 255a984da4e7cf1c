"""Unit tests start no process and open no socket: trying to is an error."""

from tests.isolation import (
    empty_ssh_config,
    forbid_processes_and_sockets,
    home_folder,
    skip_fsync,
    temporary_xdg_folders,
)

__all__ = [
    "empty_ssh_config",
    "forbid_processes_and_sockets",
    "home_folder",
    "skip_fsync",
    "temporary_xdg_folders",
]
