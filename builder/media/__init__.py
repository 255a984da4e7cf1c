"""Install media: where they come from, what they are, and the remaster."""
