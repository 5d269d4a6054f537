#!/bin/sh
# title: Go
# needs: go
# version: go version
set -eu
# -s -w: no symbols, no debug information. -l: nothing is inlined, as a call is smaller.
CGO_ENABLED=0 GOFLAGS= GO111MODULE=off go build -trimpath -ldflags='-s -w' -gcflags=all=-l -o "$1" init.go
