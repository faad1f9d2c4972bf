"""Attacks: A (time), B (challenges), C (answers), D (doors). Importing this folder enters every case."""

from importlib import import_module
from pkgutil import iter_modules

for _each in iter_modules(__path__):
    import_module(f"{__name__}.{_each.name}")
