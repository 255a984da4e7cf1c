"""Data that scan stages exchange."""
