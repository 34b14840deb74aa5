#!/bin/sh
# Builds Helm into FOLDER/bin; its module comes through Go's proxy. Some minutes and 1.5 GB of memory at first.
set -eu
folder=$(mkdir -p "$1/bin" && cd "$1" && pwd)
version=v3.22.0
if test "$(cat "$folder/helm-version" 2>/dev/null)" = $version; then exit 0; fi
if ! command -v go >/dev/null; then
    echo "no Go: tests that use Helm are skipped"
    exit 0
fi
# Helm's own builds say for which Kubernetes they are; `helm template` is told by the tests.
GOBIN=$folder/bin CGO_ENABLED=0 go install helm.sh/helm/v3/cmd/helm@$version
echo $version >"$folder/helm-version"
