"""Conflicts between hardening and AI workloads, each with a control and a workload check."""
