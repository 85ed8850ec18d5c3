"""Figures of models on random sequences of symbols: `measures.py` has what they share, chains, losses, divergences."""
