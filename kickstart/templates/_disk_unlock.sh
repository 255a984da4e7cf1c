# Binds the disk of / by the clevis pin $1, and removes the passphrase of the build. Every step is
# repeated at the next boot until it has succeeded.
set -eu
export LC_ALL=C
pin=$1
folder=/etc/hardpan/disk-unlock
passphrase=$folder/passphrase
recovery=/root/hardpan-recovery-key

opens() {
    cryptsetup open --test-passphrase --batch-mode --key-file "$1" "$device" 2> /dev/null
}

say() {
    echo "hardpan-disk-unlock: $1"
}

device=
source=$(findmnt --noheadings --output SOURCE /)
for candidate in $(lsblk --inverse --noheadings --list --paths --output NAME "$source"); do
    if cryptsetup isLuks "$candidate"; then
        device=$candidate
        break
    fi
done
[ -n "$device" ] || { say "/ is not on an encrypted disk" >&2; exit 1; }

# Machines from one image share the key of the volume, which no change of passphrases replaces.
if [ -e $folder/reencrypt ]; then
    say "re-encrypting $device under a key of its own"
    if cryptsetup luksDump "$device" | grep -q 'online-reencrypt'; then
        cryptsetup reencrypt --batch-mode --resume-only --key-file $passphrase "$device"
    else
        cryptsetup reencrypt --batch-mode --pbkdf pbkdf2 --key-file $passphrase "$device"
    fi
    rm -f $folder/reencrypt
    sync
fi

if [ -z "$(clevis luks list -d "$device")" ]; then
    say "binding $device: $pin"
    clevis luks bind -y -k $passphrase -d "$device" "$pin" "$(cat $folder/pin.json)"
fi
slot=$(clevis luks list -d "$device" | sed -n '1s/:.*//p')
clevis luks pass -d "$device" -s "$slot" |
    cryptsetup open --test-passphrase --batch-mode --key-file - "$device"

# For the day on which the TPM or the server is lost. Store it elsewhere and remove the file.
umask 077
if ! { [ -s $recovery ] && opens $recovery; }; then
    head -c 20 /dev/urandom | base32 | tr -d '\n' > $recovery
    cryptsetup luksAddKey --batch-mode --pbkdf pbkdf2 --key-file $passphrase "$device" $recovery
fi

if opens $passphrase; then
    cryptsetup luksRemoveKey --batch-mode "$device" $passphrase
fi
if opens $passphrase; then
    say "the passphrase of the build still opens $device" >&2
    exit 1
fi
shred --zero --remove $passphrase
rm -f $folder/pin.json
say "bound $device; the recovery key is in $recovery"
