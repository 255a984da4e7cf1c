"""The layers: Ansible roles run over SSH on a booted guest.

One file per layer; ``registry`` has the table of them and applies them. This file imports
nothing: ``hardpan hash-password`` needs one module of this package, not Ansible.
"""
