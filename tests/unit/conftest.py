"""Unit tests start no process and open no socket: trying to is an error."""

from tests.isolation import isolate

__all__ = ["isolate"]
