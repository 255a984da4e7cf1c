"""The in-toto statement of a scan."""
