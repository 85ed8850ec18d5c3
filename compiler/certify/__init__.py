"""How exact weights are, and on what: the error model, tolerances, certificates, validation.

    in       Plan (graph, ranges, schedule, slots), Weights
    out      predicted and measured errors, a bound for each prediction; a refusal of weights that
             are not what the program says

Read first error_model.py and predict.py, then report.py, validate.py and tolerance.py.
"""
