"""Where hardening and AI workloads collide, as checks with two halves."""
