"""Install media: sources, inspection and remastering."""
