"""Paths of the Ansible project: playbook, roles and shared files."""

from hardpan.core.resources import resource_path

PLAYBOOKS = resource_path("hardpan.builder", "ansible")
"""Folder of ``site.yml``, ``ansible.cfg`` and the roles."""
