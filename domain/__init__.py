"""The rules of the shop: pure, frozen, without clock and without I/O."""
