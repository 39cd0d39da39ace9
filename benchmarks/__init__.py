"""How fast and how small a night is: README.md says how to run it."""
