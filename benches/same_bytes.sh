#!/usr/bin/env bash
# Do two builds of weightsmith write the same weights? Fills every network of architectures/named with both,
# one sample and two, and compares the bytes of all networks and state dicts.
#   benches/same_bytes.sh OLD NEW [PREDICTOR]     # two binaries, a predictor that both can read
set -euo pipefail
old=$(realpath "$1") new=$(realpath "$2")
predictor=()
[ $# -lt 3 ] || predictor=(--predictor "$(realpath "$3")")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compared=0 differ=0
for model in architectures/named/*.onnx; do
    for samples in 1 2; do
        for build in old new; do
            # LeNet-5 is filled, too: partly, which is exit 3.
            "${!build}" predict "$model" "${predictor[@]}" --device flex --samples "$samples" --out "$work/$build" --force --quiet \
                >"$work/$build.log" 2>&1 || [ $? = 3 ] || { cat "$work/$build.log"; exit 1; }
        done
        for file in "$work"/old/*.onnx "$work"/old/*.safetensors; do
            compared=$((compared + 1))
            cmp -s "$file" "$work/new/$(basename "$file")" || {
                differ=$((differ + 1))
                echo "differs: $(basename "$file") ($samples samples)"
            }
        done
        rm -rf "$work/old" "$work/new"
    done
done
echo "$compared files compared, $differ differ"
[ "$compared" -gt 0 ] && [ "$differ" = 0 ]
