"""SCAP content: choosing it, deriving it for other systems, tailoring it."""
