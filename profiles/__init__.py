"""Profiles: their schema, constraints, loader and software catalog, and the shipped profiles."""
