"""What an image must be: the typed profile, its loader and the shipped profiles."""
