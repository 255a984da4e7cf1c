"""What the AI layers install: the list of repositories and packages, and a profile's share."""
