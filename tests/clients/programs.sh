#!/bin/sh
# Unpacks Debian's rsyslog, syslog-ng, systemd-journal-remote, Prometheus, Alertmanager and Chromium into FOLDER for
# the tests that use them, and writes commands into FOLDER/bin. Nothing is installed, and no root is needed (as root the
# package lists are brought up to date first). Where there is no apt, those tests are skipped.
set -eu
folder=$(mkdir -p "$1/bin" && cd "$1" && pwd)
packages="rsyslog syslog-ng-core syslog-ng-mod-http systemd-journal-remote prometheus prometheus-alertmanager"
browser_packages="chromium-headless-shell fonts-dejavu-core"

if test -e "$folder/unpacked-6"; then exit 0; fi
for command in apt-get dpkg; do
    command -v $command >/dev/null && continue
    echo "no $command: tests of syslog daemons, the journal, Prometheus, Alertmanager and the page are skipped"
    exit 0
done
if test "$(id -u)" = 0; then apt-get update -qq || true; fi

# What would be installed for each: two syslog daemons exclude each other.
wanted() { # PACKAGES
    for package in "$@"; do
        apt-get -s install --no-install-recommends "$package" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p'
    done | sort -u
}
unpack() { # PLACE PACKAGES: into FOLDER/PLACE, which appears when it is whole
    place=$1
    shift
    if test -d "$folder/$place"; then return; fi
    mkdir -p "$folder/packages" "$folder/$place.new"
    (cd "$folder/packages" && apt-get download -qq $(wanted "$@")) 2>"$folder/apt.log" || {
        cat "$folder/apt.log"
        echo "packages cannot be fetched: tests of syslog daemons, the journal, Prometheus, Alertmanager and the page are skipped"
        exit 0
    }
    for file in "$folder"/packages/*.deb; do dpkg -x "$file" "$folder/$place.new"; done
    rm -r "$folder/packages"
    mv "$folder/$place.new" "$folder/$place"
}
test -e "$folder/unpacked-4" || rm -rf "$folder/root" # of an older list
test -x "$folder/browser/usr/lib/chromium/chromium-headless-shell" || rm -rf "$folder/browser" # likewise
unpack root $packages
unpack browser $browser_packages

libraries=
for place in "$folder"/root/lib/*-linux-gnu "$folder"/root/usr/lib/*-linux-gnu \
    "$folder"/root/usr/lib/*-linux-gnu/systemd "$folder"/root/lib/systemd \
    "$folder"/root/usr/lib/syslog-ng; do
    if test -d "$place"; then libraries="$libraries:$place"; fi
done
write() { # NAME FILE ARGUMENTS: a command that runs the unpacked file with its own libraries
    for file in "$folder"/root$2 "$folder"/root/usr$2; do
        test -x "$file" || continue
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s %s "$@"\n' "${libraries#:}" "$file" "$3" \
            >"$folder/bin/$1"
        chmod +x "$folder/bin/$1"
    done
}
modules=$(echo "$folder"/root/usr/lib/*-linux-gnu/rsyslog "$folder"/root/usr/lib/rsyslog | tr ' ' ':')
write rsyslogd /sbin/rsyslogd "-M $modules"
write syslog-ng /sbin/syslog-ng "--module-path=$(echo "$folder"/root/usr/lib/syslog-ng/[0-9]*)"
# Debian's Alertmanager reads templates from a fixed place: it is made to look where it is started.
alertmanager="$folder/root/usr/bin/prometheus-alertmanager"
if test -x "$alertmanager"; then
    LC_ALL=C sed -i 's|/usr/share/prometheus/|.'"$(printf '/%.0s' $(seq 21))"'|g' "$alertmanager"
    printf '#!/bin/sh\ncd %s/root/usr/share/prometheus && exec %s "$@"\n' "$folder" "$alertmanager" \
        >"$folder/bin/prometheus-alertmanager"
    chmod +x "$folder/bin/prometheus-alertmanager"
fi
write promtool /bin/promtool ""
write prometheus /bin/prometheus ""
write amtool /bin/amtool ""
write systemd-journal-remote /lib/systemd/systemd-journal-remote ""
# The browser, without what windows need, has libraries of its own, and fonts wherever it runs.
browser="$folder/browser"
if test -x "$browser/usr/lib/chromium/chromium-headless-shell"; then
    printf '<?xml version="1.0"?><fontconfig><dir>%s/usr/share/fonts</dir><dir>/usr/share/fonts</dir>%s%s%s</fontconfig>\n' \
        "$browser" "<cachedir>$folder/font-cache</cachedir>" \
        '<match><edit name="family" mode="append"><string>DejaVu Sans</string></edit></match>' \
        "<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>" >"$folder/fonts.conf"
    libraries=$(echo "$browser"/lib/*-linux-gnu "$browser"/usr/lib/*-linux-gnu "$browser"/usr/lib/*-linux-gnu/pulseaudio | tr ' ' ':')
    printf '#!/bin/sh\nFONTCONFIG_FILE=%s LD_LIBRARY_PATH=%s exec %s "$@"\n' "$folder/fonts.conf" "$libraries" \
        "$browser/usr/lib/chromium/chromium-headless-shell" >"$folder/bin/chromium"
    chmod +x "$folder/bin/chromium"
fi
touch "$folder/unpacked-6"
