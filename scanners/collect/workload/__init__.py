"""Programs that run on the target; never imported by the scanner."""
