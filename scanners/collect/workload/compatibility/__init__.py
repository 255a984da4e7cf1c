"""The program that runs the control check and the workload check of each conflict on a host.

It runs on the target, as root and on Python 3.9 or later, from its standard input: fapolicyd
would refuse a file. ``actions`` is the part that runs in the AI service's confinement, the rest
inspects the host itself.
"""
