"""Weights as a folder on disk: sparse tensors beside a manifest that is checked number by number.

before   Weights; or a folder, a stranger's too
after    the folder, whole or not at all; or Weights that are sound, or one error that names the place

Read storage.py first, then manifest.py (what config.json says) and sound.py (what is checked of it).
"""
