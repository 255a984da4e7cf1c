"""The program that asks a host for both halves of each conflict.

It runs on the target, as root and on Python 3.9 or later, from its standard input:
a file of ours would be refused by fapolicyd. ``actions`` is the part that runs in
the AI service's confinement, the rest looks at the host itself.
"""
