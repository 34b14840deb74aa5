#!/bin/sh
# Unpacks the programs whose packs are tested against the real thing (tests/packs/real) into FOLDER/neighbours: nginx,
# docker-registry, skopeo, Redis, HAProxy, Apache and MariaDB with its client, as Debian packs them. Nothing is installed,
# and no root is needed (as root the package lists are brought up to date first). Where there is no apt, those tests are
# skipped.
set -eu
folder=$(mkdir -p "$1/neighbours" && cd "$1/neighbours" && pwd -P)
packages="nginx-core docker-registry skopeo redis-server haproxy apache2-bin mariadb-server-core mariadb-client-core apache2-utils"

if test -e "$folder/unpacked-2"; then exit 0; fi
for command in apt-get dpkg; do
    command -v $command >/dev/null && continue
    echo "no $command: tests of packs with real programs are skipped"
    exit 0
done
if test "$(id -u)" = 0; then apt-get update -qq || true; fi

# What would be installed for each, besides what the machine has.
wanted() {
    for package in $packages; do
        apt-get -s install --no-install-recommends "$package" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p'
    done | sort -u
}
rm -rf "$folder/packages" "$folder/root"
mkdir -p "$folder/packages" "$folder/bin" "$folder/root"
(cd "$folder/packages" && apt-get download -qq $(wanted)) 2>"$folder/apt.log" || {
    cat "$folder/apt.log"
    echo "packages cannot be fetched: tests of packs with real programs are skipped"
    exit 0
}
for file in "$folder"/packages/*.deb; do dpkg -x "$file" "$folder/root"; done
rm -r "$folder/packages"

libraries=$(echo "$folder"/root/lib/*-linux-gnu "$folder"/root/usr/lib/*-linux-gnu | tr ' ' ':')
for program in nginx docker-registry skopeo redis-server redis-cli haproxy apache2 mariadbd mariadb mariadb-install-db htpasswd; do
    for place in usr/bin usr/sbin; do
        file=$folder/root/$place/$program
        test -x "$file" || continue
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$libraries" "$file" >"$folder/bin/$program"
        chmod +x "$folder/bin/$program"
    done
done
touch "$folder/unpacked-2"
