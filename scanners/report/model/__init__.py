"""Format-independent content of a report."""
