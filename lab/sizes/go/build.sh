#!/bin/sh
# title: Go
# needs: go
# version: go version
set -eu
CGO_ENABLED=0 GOFLAGS= GO111MODULE=off go build -trimpath -ldflags='-s -w' -o "$1" init.go
