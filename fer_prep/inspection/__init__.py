"""Looking at what is there: complete, intact, free of leaks? Counts, pages, data card, doctor."""
