"""Data of users: CSV and NPZ files, and what their columns and gaps mean.

    in       a file, a program's signature
    out      arrays by field; rows to write

Columns named as fields are read by datasets.py, tables as they come by table_tasks.py.
Read first datasets.py, then pairing.py (no value is read as another token's) and csv_cells.py.
"""
