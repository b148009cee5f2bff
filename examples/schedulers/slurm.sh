#!/usr/bin/env bash
# One task of a Slurm job array: sbatch --array=1-64 slurm.sh GRAPHS CACHE
# Afterwards, anywhere: weightsmith rank GRAPHS --cache CACHE
#SBATCH --cpus-per-task=4
set -euo pipefail
weightsmith rank "$1" --cache "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
    --jobs "$SLURM_CPUS_PER_TASK" --quiet --top 0
