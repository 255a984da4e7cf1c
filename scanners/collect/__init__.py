"""Collectors: each reads one kind of evidence from a target."""
