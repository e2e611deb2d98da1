"""Questions asked of runs: comparing, transferring, explaining, searching, reproducing."""
