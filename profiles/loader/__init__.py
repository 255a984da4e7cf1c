"""Reads and lists profiles."""
