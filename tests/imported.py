"""Imports the whole product, for processes that are forked from the one that has imported this."""

import gc
from importlib import import_module
from pkgutil import walk_packages

import app
import providers

for package in (app, providers):
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)

# What is here stays: no forked process need look through it for garbage.
gc.collect()
gc.freeze()
