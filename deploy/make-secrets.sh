#!/bin/sh
# Makes the secrets that compose.yaml needs in the folder `secrets` next to it: random passwords and keys, a token, and
# a self-signed certificate for NAME. Files that exist are kept.
#
#   ./make-secrets.sh [NAME]        NAME is the host name of the server; default: localhost
set -eu

name=${1:-localhost}
case $name in
*[!A-Za-z0-9.-]* | -* | "")
    echo "error: \"$name\" is not a host name" >&2
    exit 2
    ;;
esac
command -v openssl >/dev/null || {
    echo "error: openssl is not installed" >&2
    exit 1
}

folder=$(dirname "$0")/secrets
mkdir -p "$folder"
# The containers, whose users have other numbers, get single files of this folder; only its owner can open it.
chmod 700 "$folder"
cd "$folder"

# Writes what follows the name to the file, unless it exists.
keep() {
    if [ ! -s "$1" ]; then
        printf '%s' "$2" >"$1.new"
        chmod 444 "$1.new"
        mv "$1.new" "$1"
        echo "made $folder/$1"
    fi
}

keep database_password "$(openssl rand -hex 24)"
keep store_url "postgres://capcut:$(cat database_password)@postgres:5432/capcut?sslmode=disable"
keep s3_key_id "$(openssl rand -hex 10)"
keep s3_secret "$(openssl rand -hex 24)"
keep tokens "team $(openssl rand -hex 32)"
keep webhook_url "http://127.0.0.1:9/replace-by-the-address-of-your-webhook"

if [ ! -s tls_certificate ] || [ ! -s tls_key ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=$name" \
        -addext "subjectAltName=DNS:$name" -keyout tls_key.new -out tls_certificate.new 2>openssl.log || {
        cat openssl.log >&2
        exit 1
    }
    rm openssl.log
    chmod 444 tls_key.new tls_certificate.new
    mv tls_key.new tls_key
    mv tls_certificate.new tls_certificate
    echo "made $folder/tls_certificate, self-signed for $name, and its key"
fi
