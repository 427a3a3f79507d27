"""Scoring restored pictures, by named protocols."""
