"""Carriers on this machine: parcels that travel by themselves, with books of their own."""
