#!/bin/sh
# Writes .env beside this file with new passwords, for nobody but its owner; one that is there stays.
set -eu
cd "$(dirname "$0")"
if test -e .env; then
    echo ".env is there"
    exit 0
fi
umask 077
new() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
{
    for name in DATABASE_PASSWORD S3_ACCESS_KEY S3_SECRET_KEY GRAFANA_PASSWORD; do
        echo "$name=$(new)"
    done
} >.env.new
mv .env.new .env
echo ".env was written"
