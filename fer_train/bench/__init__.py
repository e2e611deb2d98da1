"""How fast training is here: the loop, its ceiling, and a plain loop beside them."""
