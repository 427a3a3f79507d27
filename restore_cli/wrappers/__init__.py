"""Modules around modules; `inference.restorer` puts them in order."""
