"""One fold, its loop, all folds, several processes, resumption."""
