# %post of openssl-fips-provider. On EL, OpenSSL itself activates the provider when the kernel
# is in FIPS mode, and crypto-policies limits SSH to its algorithms; Debian's OpenSSL reads its
# configuration only. fipsmodule.cnf holds the digest of this system's module.
if [ "$(cat /proc/sys/crypto/fips_enabled 2>/dev/null)" = 1 ]; then
    module=$(echo /usr/lib/*/ossl-modules/fips.so)
    openssl fipsinstall -quiet -module "$module" -out /etc/ssl/fipsmodule.cnf
    if ! grep -q '^fips = fips_sect' /etc/ssl/openssl.cnf; then
        # Sections that appear twice are merged; default_sect is not active.
        cat >>/etc/ssl/openssl.cnf <<'CONF'

# FIPS mode: only what the FIPS provider approves.
[openssl_init]
alg_section = fips_algorithm_sect
[fips_algorithm_sect]
default_properties = fips=yes
[provider_sect]
fips = fips_sect
base = base_sect
[base_sect]
activate = 1
.include /etc/ssl/fipsmodule.cnf
CONF
    fi
    mkdir -p /etc/ssh/sshd_config.d /etc/ssh/ssh_config.d
    kex=ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521
    kex=$kex,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512
    for file in /etc/ssh/sshd_config.d/40-fips.conf /etc/ssh/ssh_config.d/40-fips.conf; do
        printf '%s\n' '# FIPS mode: algorithms of the FIPS provider.' \
            'Ciphers aes256-gcm@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr' \
            'MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512' \
            "KexAlgorithms $kex" >"$file"
        chmod 644 "$file"
    done
fi
