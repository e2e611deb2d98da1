"""What a dataset looks like: counts, pictures, cards, and what works on this machine."""
