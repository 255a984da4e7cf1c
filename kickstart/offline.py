"""Where an installed machine has the files of its layers until its first boot."""

LAYERS_FOLDER = "/var/lib/hardpan-layers"
"""Copy of the ISO's folder; removed once the layers are applied."""

ISO_FOLDER = "hardpan"
"""The ISO's folder, in its root."""
