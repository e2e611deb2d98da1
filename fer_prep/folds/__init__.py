"""Fold manifests: protocols, the splitter, selections, and the file."""
