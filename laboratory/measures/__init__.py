"""What is measured of models, compiled or trained.

    in       Subject: a model and how it is asked
    out      distances, implicit weights, sensitivities, probes, patches, the line between two models' weights

Read first subject.py and distance.py; each of the others is one measure.
"""
