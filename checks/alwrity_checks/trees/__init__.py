"""How the rooms read a syntax tree: walked once, names followed to what they stand for. Nothing is run."""
