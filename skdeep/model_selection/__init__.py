"""How rows are divided into those to learn from and those to validate on."""
