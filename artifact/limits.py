"""What a program, and a folder of weights, may ask for at most: far beyond what has been compiled, and short of what
would exhaust a machine unasked; and how far a value may leave the range that weights were compiled for.

    size       1,024      of a vector, or of one side of a matrix
    passes     100,000    of one `repeat`
    scan       8,192      tokens that a `scan` goes up to
    layers     1,048,576  with all loops unrolled; passes of loops inside each other, too
    nesting    100        of expressions, blocks and loops
    tokens     1,048,575  of a sequence
    text       1,048,576  characters of a program
"""

LARGEST_SIZE, MOST_PASSES, LONGEST_SCAN, MOST_LAYERS, DEEPEST = 1024, 100_000, 8192, 2**20, 100
MOST_TOKENS = 2**20 - 1

LARGEST_TEXT, LARGEST_CONFIG, WIDEST = 2**20, 2**29, 2**24
"""Characters of a program's text; bytes of config.json; slots, heads, neurons or positions of saved weights."""

SLACK = 1e-3
"""As a share of the range's magnitude, for the rounding of the weights: what is out by less is said to be inside."""
ROOM = 2.0
"""So many times its range a slot, a query or a key may hold before norms, closed neurons and the rest token's logits
are no longer what the constructions take them for."""
