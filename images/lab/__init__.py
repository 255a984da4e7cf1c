# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab media: an EL-shaped system assembled from Debian's packages, never called Rocky."""
