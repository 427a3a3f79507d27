"""From a name, a file or a hub address to a network with its weights."""
