"""Virtual machines: QEMU, console, firmware, KVM probe and egress proxy."""
