"""Sagas: their timeline, projected for lists."""
