"""SSH connections to targets."""
