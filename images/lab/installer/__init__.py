# SPDX-License-Identifier: GPL-2.0-or-later
"""The installer on the lab media: it obeys a kickstart, or says what it cannot obey.

It runs inside the guest, on the Python of the media, from /usr/libexec/hardpan-lab.
``reader`` and ``translate`` turn the kickstart into a frozen ``plan``; ``layout`` and
``texts`` work out what that means, without touching anything; the rest carries it out.
"""
