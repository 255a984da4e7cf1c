"""Writes and signs evidence files."""
