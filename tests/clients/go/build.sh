#!/bin/sh
# Builds the clients that are written in Go into FOLDER/bin. Their modules come through Go's proxy;
# versions are in each go.mod. Without Go their tests are skipped.
set -eu
folder=$(mkdir -p "$1/bin" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v go >/dev/null; then
    echo "no Go: tests of clients written in it are skipped"
    exit 0
fi
loki=github.com/grafana/loki/v3/cmd
build() { # MODULE PACKAGES: in a copy, since building completes go.mod and go.sum
    module=$1
    shift
    copy=$folder/go/$module
    if ! cmp -s "$here/$module/go.mod" "$copy/go.mod.given"; then
        rm -rf "$copy" && mkdir -p "$folder/go"
        cp -R "$here/$module" "$copy"
        cp "$copy/go.mod" "$copy/go.mod.given"
    fi
    find "$here/$module" -name '*.go' | while read -r file; do
        cp "$file" "$copy/${file#"$here/$module/"}"
    done
    (cd "$copy" && go build -mod=mod -o "$folder/bin/" "$@")
}
build collector .
build loki ./promtail $loki/logcli $loki/loki-canary
