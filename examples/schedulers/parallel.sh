#!/usr/bin/env bash
# Ranks graphs with GNU parallel: parallel.sh GRAPHS CACHE [SHARDS]
set -euo pipefail
graphs=$1 cache=$2 shards=${3:-$(nproc)}
seq "$shards" | parallel --halt soon,fail=1 \
    weightsmith rank "$graphs" --cache "$cache" --shard "{}/$shards" --jobs 1 --quiet --top 0
weightsmith rank "$graphs" --cache "$cache"
