"""What passes know of values, and no pass itself: components as polynomials, and what a scan's pass does.

in       values of a Graph
out      polynomials, and what they compile back to (polynomial.py); the delta rule that a pass is, if it is
         (match_delta_rule.py, at the points of affine_scans.py); what is a count, and 0 where one is (counts.py)
"""
