"""Parcels: the carriers that take them, behind one interface."""
