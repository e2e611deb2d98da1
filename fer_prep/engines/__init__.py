"""Where per-sample work runs: in this process, in worker processes, on a cluster."""
