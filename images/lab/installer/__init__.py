# SPDX-License-Identifier: GPL-2.0-or-later
"""The installer on the lab media: it executes a kickstart, or lists what it does not support.

It runs inside the guest, on the Python of the media, from /usr/libexec/hardpan-lab.
``reader`` and ``translate`` turn the kickstart into a frozen ``plan``; ``layout`` and
``config_files`` are pure; the other modules change the system.
"""
