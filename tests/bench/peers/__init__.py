"""The engine and the models beside what a user would run instead, measured in turn in one run: `make bench-peers`."""
