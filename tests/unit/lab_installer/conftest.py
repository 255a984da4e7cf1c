"""A kickstart that this installer obeys, and what it leads to."""

import pytest

GOOD = """\
cmdline
url --url=file:///run/install/repo
lang en_US.UTF-8
keyboard us
timezone Europe/Zurich --utc
timesource --ntp-server=0.pool.ntp.org
network --bootproto=dhcp --device=link --onboot=yes --hostname=lab-1
rootpw --lock
user --name=steward --groups=wheel --gecos="the steward" --lock
sshkey --username=steward "ssh-ed25519 AAAAC3Nza steward@example"
selinux --enforcing
firewall --enabled --ssh
services --enabled=sshd,auditd --disabled=debug-shell
poweroff
zerombr
clearpart --all --initlabel --disklabel=gpt
part biosboot --fstype=biosboot --size=1
part /boot/efi --fstype=efi --size=256 --fsoptions="umask=0077,shortname=winnt,nosuid"
part /boot --fstype=xfs --size=1024 --fsoptions="nodev,nosuid"
part pv.01 --size=1 --grow
volgroup vg0 pv.01
logvol / --vgname=vg0 --name=root --fstype=xfs --size=4096 --grow
logvol /tmp --vgname=vg0 --name=tmp --fstype=xfs --size=1024 --fsoptions="nodev,nosuid,noexec"
logvol swap --vgname=vg0 --name=swap --fstype=swap --size=512
bootloader --timeout=1 --append="audit=1" --iscrypted --password=grub.pbkdf2.sha512.10000.AA.BB
%packages --exclude-weakdeps
@core
aide
-telnet
%end
%pre --erroronfail
true
%end
%post --nochroot --log=/tmp/x.log
echo %included
%end
%onerror
poweroff -f
%end
"""


@pytest.fixture
def good() -> str:
    return GOOD
