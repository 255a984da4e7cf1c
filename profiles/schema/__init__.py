"""Pydantic models of a profile."""
