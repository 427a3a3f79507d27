from tests.catalogue import catalogue, impatient

__all__ = ["catalogue", "impatient"]
