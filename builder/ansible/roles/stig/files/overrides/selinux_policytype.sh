#!/bin/bash
# Selects the policy 'targeted' if it is installed.
set -eu
if ! compgen -G '/etc/selinux/targeted/policy/policy.*' > /dev/null; then
    echo 'the SELinux policy targeted is not installed' >&2
    exit 1
fi
sed -i '/^SELINUXTYPE=/d' /etc/selinux/config
echo 'SELINUXTYPE=targeted' >> /etc/selinux/config
