"""SCAP content: finding it, deriving it for other products, slimming it."""
