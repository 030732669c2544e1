"""llama.cpp's server with ``llama-server``'s options, from xllamacpp's wheel, which nobody compiles."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import xllamacpp

FLAGS = ("--slots", "--no-ui", "--offline")


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("model", "host", "api-key-file", "slot-save-path"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("parallel", "ctx-size", "batch-size", "ubatch-size", "threads", "threads-batch", "poll", "cache-ram"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--verbosity", type=int, required=True)
    for name in FLAGS:
        parser.add_argument(name, action="store_true", required=True)
    given = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.n_parallel, params.n_ctx = given.parallel, given.ctx_size
    params.n_batch, params.n_ubatch = given.batch_size, given.ubatch_size
    params.cpuparams.n_threads, params.cpuparams_batch.n_threads = given.threads, given.threads_batch
    params.cpuparams.poll = params.cpuparams_batch.poll = given.poll
    params.cache_ram_mib = given.cache_ram
    params.slot_save_path = given.slot_save_path
    params.hostnames = [given.host]
    params.api_keys = [Path(given.api_key_file).read_text().strip()]
    params.endpoint_slots = True
    params.ui = False
    params.verbosity = given.verbosity
    server = xllamacpp.Server(params)
    signal.sigwait({signal.SIGTERM})
    del server


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
