"""Constraints between the settings of a profile."""
