#!/bin/sh
# Builds a Kubernetes without nodes into FOLDER/bin: kube-apiserver, kube-scheduler, and the etcd below them (Debian's is too
# old for it). Modules come through Go's proxy; ten minutes of a processor at first. Without Go tests with it are skipped.
set -eu
folder=$(mkdir -p "$1/bin" && cd "$1" && pwd -P)
here=$(cd "$(dirname "$0")" && pwd)
versions=$(cat "$here/kubernetes/go.mod" "$here/etcd/go.mod" | cksum)
if test "$(cat "$folder/kubernetes-versions" 2>/dev/null)" = "$versions"; then exit 0; fi
if ! command -v go >/dev/null; then
    echo "no Go: tests with a real Kubernetes are skipped"
    exit 0
fi
build() { # MODULE ARGUMENTS: in a copy, since building completes go.mod and go.sum; one package at a time, for the memory
    module=$1
    shift
    rm -rf "$folder/go/$module" && mkdir -p "$folder/go"
    cp -R "$here/$module" "$folder/go/$module"
    (cd "$folder/go/$module" && CGO_ENABLED=0 go build -p 1 -mod=mod "$@")
}
version=$(sed -n 's|^require k8s.io/kubernetes ||p' "$here/kubernetes/go.mod")
build etcd -o "$folder/bin/etcd" go.etcd.io/etcd/server/v3
build kubernetes -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$folder/bin/" \
    k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-scheduler
echo "$versions" >"$folder/kubernetes-versions"
