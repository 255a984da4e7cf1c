"""dnf repositories: metadata, packages and their availability."""
