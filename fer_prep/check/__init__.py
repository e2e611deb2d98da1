"""Complete? Intact? Free of leaks? One module for each kind of thing that is checked."""
