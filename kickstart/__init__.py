"""Profile -> kickstart text, and the linter for kickstarts. Pure: no disk, no network."""
