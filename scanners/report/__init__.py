"""Reports: each writes one format from the findings."""
