#!/bin/sh
# Creates this machine's TLS key and certificate, or checks that the site's exist.
# certificate.sh CERTIFICATE KEY HOST_NAME|site
set -eu
crt=$1 key=$2 name=$3

if [ "$name" = site ]; then
    for file in "$crt" "$key"; do
        [ -s "$file" ] || { echo "$file: missing or empty: expected the site's own certificate and key" >&2; exit 1; }
    done
    if [ -n "$(find -L "$key" -prune \( -perm /077 -o ! -uid 0 \))" ]; then
        echo "$key: others than root have access: expected owner root and mode 0600, got" \
            "$(stat -L -c '%U and 0%a' "$key")" >&2
        exit 1
    fi
    exit 0
fi
# Renewed, with a new key, a month before it expires.
if [ -s "$key" ] && [ -s "$crt" ] && openssl x509 -in "$crt" -noout -checkend 2592000 > /dev/null; then
    exit 0
fi
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -noenc -sha384 -days 397 \
    -subj "/CN=$name" -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" \
    -addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature" \
    -addext "extendedKeyUsage=serverAuth" \
    -keyout "$key.new" -out "$crt.new" 2> /dev/null
chmod 0644 "$crt.new"
mv "$key.new" "$key"
mv "$crt.new" "$crt"
echo "created this machine's TLS certificate; $(openssl x509 -in "$crt" -noout -fingerprint -sha256)" >&2
