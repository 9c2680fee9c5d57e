"""The main job on one machine, with a sandbox in the place of the providers."""
