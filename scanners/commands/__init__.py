"""One file per verb of the scanner."""
