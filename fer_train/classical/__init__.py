"""Linear discriminants on landmarks and gradient histograms: what a network has to beat, and may lean on."""
