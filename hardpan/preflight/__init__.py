"""Checks and the plan before a build starts."""
