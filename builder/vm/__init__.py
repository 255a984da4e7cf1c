"""The virtual machine: QEMU, its console, and whether KVM can really run a vCPU."""
