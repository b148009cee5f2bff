"""Ranks graphs on a Ray cluster, or on this machine: python rank_ray.py GRAPHS CACHE [--shards N]."""

import argparse
import subprocess

import ray


def rank(graphs, cache, *further):
    """Runs the program, which comes with `pip install weightsmith`; returns what it prints."""
    command = ["weightsmith", "rank", graphs, "--cache", cache, *further]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", help="a folder or a pattern that all machines see")
    parser.add_argument("cache", help="a folder that all machines see")
    parser.add_argument("--shards", type=int, help="parts of the work; one for each core by default")
    parser.add_argument("--address", help="of a running cluster")
    arguments = parser.parse_args()
    ray.init(arguments.address)
    shards = arguments.shards or int(ray.cluster_resources()["CPU"])
    part = ray.remote(num_cpus=1)(rank)
    quiet = ["--jobs", "1", "--quiet", "--top", "0"]
    paths = arguments.graphs, arguments.cache
    ray.get([part.remote(*paths, "--shard", f"{shard}/{shards}", *quiet) for shard in range(1, shards + 1)])
    print(rank(*paths), end="")


if __name__ == "__main__":
    main()
