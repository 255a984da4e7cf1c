"""What runs on the target itself; never imported here."""
