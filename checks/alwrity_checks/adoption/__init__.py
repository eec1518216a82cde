"""The cure, written into a checkout: thin modules with the original's public names that import our components."""
