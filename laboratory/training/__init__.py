"""Training of the compiled architectures on in-context tasks.

    in       TaskDistribution, a Model (weights as parameters)
    out      a run's checkpoints, and Weights

Read first model.py and train.py, then tasks.py and steps.py.
"""
