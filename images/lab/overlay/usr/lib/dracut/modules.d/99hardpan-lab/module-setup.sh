#!/bin/bash
# What the lab's initramfs needs in addition to dracut's own modules.

check() {
    return 0
}

depends() {
    echo base
}

install() {
    # The lab's sha512hmac, which the fips module calls, is a script around openssl.
    inst_multiple -o openssl
    # In FIPS mode the kernel tests each algorithm when a driver registers it. The fips module
    # lets tcrypt test all of them once more (20 s of an emulated start); here it tests AES.
    mkdir -p "${initdir:?}/etc/modprobe.d"
    echo 'options tcrypt mode=10' >"$initdir/etc/modprobe.d/hardpan-lab.conf"
    inst_hook pre-pivot 99 "${moddir:?}/keep-initramfs.sh"
}
