"""Ansible: the runner and the roles."""
