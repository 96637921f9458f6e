"""Stock: reserved over all lines at once, committed, released, swept."""
