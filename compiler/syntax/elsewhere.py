"""How other languages write what this one writes otherwise, for hints.

    w[1:]     →   both ends of a slice are written: `v[2:d]`

What is unknown is looked for among what NumPy, PyTorch, MATLAB and mathematics call it: functions, values, words that
begin a line; and what does not parse among shapes of a line, of which the fault must be a part.
"""

from __future__ import annotations

import re

_JOINED = "`[a, b]` and `concat(a, b)` join numbers, vectors and rows"
_ENTRYWISE = "`max(a, b)` and `min(a, b)` go component by component"
_NO_ROUNDING = "a step is a comparison, 1 or 0: `(v >= 1) + (v >= 2)`"
_NO_CHANCE = "a program draws nothing: what is random comes in a field or a parameter"
_NO_FACTORS = "`use linear_algebra` has `inverse(A)` and `solve(A, b)`; eigenvectors come by `repeat`"
_PREVIOUS = "`move x from previous` is the token before me, `move x from previous 2` the one before that"
_RUNNING = "along tokens runs a `scan y up to 40`; `sum[j in y](v[j])` is each token's, of what it sees"
_SORTED = (
    "of tokens there are `max[j in K](e)` and `argmax[j in K](score, e)`; k_nearest_neighbours takes the next ones"
)
_SPREAD = "`use statistics` has `variance(v, K)` and `standardised(v, K, floor)`"

FUNCTIONS = {
    "T": "`transpose(A)`", "t": "`transpose(A)`", "tr": "`use linear_algebra` has `trace(A)`",
    "inv": "`use linear_algebra` has `inverse(A)` and `solve(A, b)`",
    "pinv": "`use linear_algebra` has `inverse(A)`: `inverse(transpose(A) @ A + 1e-3 * identity(d))`, with a ridge",
    "det": _NO_FACTORS, "eig": _NO_FACTORS, "eigh": _NO_FACTORS, "svd": _NO_FACTORS, "qr": _NO_FACTORS,
    "chol": _NO_FACTORS, "cholesky": _NO_FACTORS,
    "zeros": "under a type a number is stretched: `w : vector[d] = 0`, `W : matrix[d, d] = 0`",
    "ones": "under a type a number is stretched: `w : vector[d] = 1`, `W : matrix[d, d] = 1`",
    "eye": "`identity(d)`", "len": "`size(v)`; tokens are counted by `sum[j in K](1)`",
    "pow": "a power is `e ^ 2`", "power": "a power is `e ^ 2`", "square": "a power is `e ^ 2`",
    "where": "a comparison is 1 or 0: `(a > b) * e + (a <= b) * f`",
    "heaviside": "a comparison is 1 or 0: `v > 0`",
    "ln": "`log(v)`", "log2": "`log(v) / log(2)`", "log10": "`log(v) / log(10)`",
    "argmin": "`argmax(-v)`, and over tokens `argmax[j in K](-score, e)`",
    "stack": _JOINED, "hstack": _JOINED, "vstack": _JOINED, "cat": _JOINED, "concatenate": _JOINED, "append": _JOINED,
    "maximum": _ENTRYWISE, "minimum": _ENTRYWISE, "clamp": "`clip(v, low, high)`",
    "any": "of 1 and 0: `max(v)`", "all": "of 1 and 0: `min(v)`",
    "floor": _NO_ROUNDING, "ceil": _NO_ROUNDING, "round": _NO_ROUNDING,
    "rand": _NO_CHANCE, "randn": _NO_CHANCE, "random": _NO_CHANCE, "normal": _NO_CHANCE,
    "sort": _SORTED, "argsort": _SORTED, "topk": _SORTED, "median": _SORTED,
    "var": _SPREAD, "std": _SPREAD, "cumsum": _RUNNING, "cumprod": _RUNNING,
    "lag": _PREVIOUS, "shift": _PREVIOUS, "roll": _PREVIOUS, "diff": _PREVIOUS,
    "matmul": "a matrix times a matrix or a vector is `A @ v`", "einsum": "`A @ B`, `dot(a, b)`, `outer(a, b)`",
    "cross": "by components: `[a[2] * b[3] - a[3] * b[2], …]`", "kron": "row by row: `concat(a[1] * b, a[2] * b)`",
    "one_hot": "one comparison a class: `[y == 1, y == 2]`; or a field of type `onehot[m]`",
    "reshape": "shapes stay; `v[1:3]` is a part, `concat(a, b)` joins", "gelu": "`v * sigmoid(1.702 * v)`, or by `erf`",
    "array": "an array is `[1, 2]`, a matrix `[[1, 0], [0, 1]]`", "print": "what a program gives is `output e`",
}  # fmt: skip
"""What functions are called in other languages."""

_PLAIN_TRUTH = "what is true is 1, what is not 0"
VALUES = {
    "pi": "it is written out: 3.141592653589793", "e": "`exp(1)`", "inf": "a large number, as 1e6",
    "True": _PLAIN_TRUTH, "true": _PLAIN_TRUTH, "False": _PLAIN_TRUTH, "false": _PLAIN_TRUTH,
    "None": "every value is a number, a vector or a matrix",
    "t": "`repeat n as t` counts passes; the token before me is `move x from previous`",
    "n": "tokens are counted by `sum[j in K](1)`",
    "lambda": "`def f(v) = e`, before the lines that call it",
}  # fmt: skip
"""And values."""

_EVERY_PASS = "every pass runs whole; what shall not change is kept by a comparison: `w = w - (g > 0) * g`"
_FUNCTION = "`def f(v) = e`, or `def f(v)` and indented lines of which the last is `output e`"
LINES = {
    "for": "`repeat n` runs a block n times, `repeat n as t` counts them; `scan K up to n` goes along the K tokens",
    "loop": "`repeat n` runs a block n times", "do": "`repeat n` runs a block n times",
    "while": "`repeat n` runs a block n times, and n is known when compiling",
    "if": "a comparison is 1 or 0: `(a > b) * e`", "elif": "a comparison is 1 or 0: `(a > b) * e + (a <= b) * f`",
    "else": "a comparison is 1 or 0: `(a > b) * e + (a <= b) * f`",
    "return": "what a program or a `def` gives is `output e`", "print": "what a program gives is `output e`",
    "import": "`use linear_algebra`, after the first line", "from": "`use linear_algebra`, after the first line",
    "let": "`name = e`, or `name : vector[d] = e`", "var": "`name = e`, or `name : vector[d] = e`",
    "break": _EVERY_PASS, "continue": _EVERY_PASS, "pass": "a block says something: leave it out",
    "end": "a block ends where its indentation does", "function": _FUNCTION, "fn": _FUNCTION,
}  # fmt: skip
"""What begins a line."""

_CHOICE = "a comparison is 1 or 0: `(a > b) * e + (a <= b) * f`"
_READ = "a read names its index and its kind of token: `mean[j in y](v[j])`"
_SIZES = "types are `scalar`, `vector[d]`, `matrix[m, d]`, `tensor[m, d, d]`"
_ONE_KIND = "a block is of one kind, `at y`; a line at the margin runs at all tokens"
_SLICE = "both ends of a slice are written, the first being 1: `v[2:d]`, `A[1:m, 1]`"
_COMMENT = "a comment begins with `#`"
_HOW = r"\b(?:mean|sum|max|min|argmax|softmax|logsumexp)\s*"
_SHAPES = (
    (r"^\s*(?://|%|/\*|--|\"\"\"|''').*", _COMMENT),
    (r"[(,]\s*(?:axis|dim|keepdims?)\s*=", "over tokens it is `mean[j in K](v[j])`; of components "
     "`sum(v)`, of a matrix `row_sums(A)`, `column_sums(A)`"),
    (rf"{_HOW}\[\s*\w+\s*(?:\]|=|in\s*\d).*", _READ),
    (rf"{_HOW}\[\s*\w+\s+in\s+\w+\s*\]\s*[^\s(]", "what is read stands in parentheses: `mean[j in y](v[j])`"),
    (r"\bfor\s+\w+\s+in\b", _READ),
    (r"\b(?:if|else)\b.*", _CHOICE),
    (r"\?.*:.*", _CHOICE),
    (r"^\s*use\b.*", "`use` stands between the first line and `tokens`"),
    (r"\bgrad\b\s*\(?.*", "a gradient names what it is by: `grad[w](loss)`"),
    (r"\blambda\b.*", VALUES["lambda"]),
    (r"^\s*at\s+\w+\s*(?:,|and\b|or\b|\s)\s*\w+.*", _ONE_KIND),
    (r"^\s*repeat\b.*\b(?:times|until|while)\b.*", "`repeat 3`, and the number is known when compiling"),
    (r"^\s*repeat\s*$", "`repeat 3`, and the number is known when compiling"),
    (r"^\s*(?:at|repeat|scan|def)\b.*:\s*$", "no colon: a block is the indented lines below"),
    (r"^\s*def\b.*\)\s*(?::|->).*", _FUNCTION),
    (r":=|<-", "a name gets its value by `name = e`"),
    (r"\^\s*\(?-?\s*[1T]\b\)?", "`transpose(A)`; `use linear_algebra` has `inverse(A)`; of numbers `1 / e`"),
    (r"\[[^\[\]]*:\s*[\],]|\[\s*:[^\[\]]*\]|,\s*:[^\[\]]*\]|::", _SLICE),
    (r"^\s*move\s.*", "what a move gives has a name: `u = move x from previous`"),
    (r":.*\bin\s*[\[(].*[\])]\s*on\b.*", "`on` comes before `in`: `y : scalar on a in [0, 1]`"),
    (r"(?<!move )\b\w+\s+from\s+(?:previous|first|last)\b.*", "`move x from previous`"),
    (r"^.*=\s*(?:previous|first|last)\b.*", _PREVIOUS),
    (r"\bmove\s+\w+\s*$", "`move x from previous`, `from first x` or `from last x`"),
    (r"\b(?:the\s+)?(?:\w+\s+before\s+last|last\s+but\s+one)\b.*", _PREVIOUS),
    (r":\s*(?:vector|matrix|tensor|onehot)\s*(?:\(|=|$).*|=\s*(?:vector|matrix)\s*\(.*", "its size stands in brackets: "
     "`w : vector[d] = 0`"),
    (r":\s*(?:float|int|double|real|number|bool|array|list|vec|mat|ndarray|Tensor)\b.*", _SIZES),
    (r"=\s*onehot\b.*", FUNCTIONS["one_hot"]),
    (r"^\s*\w+\s*,\s*\w+.*=.*", "a line gives one name its value: `a = e`"),
    (r";\s*$", "a line ends by itself"),
    (r"\[[^\]]*;.*", "rows are `[[1, 2], [3, 4]]`; what stands end to end is `[a, b]`"),
    (r"\[[\w.]+(?:\[[^\[\]]*\])?\s+[\w.]+.*", "commas stand between: `[1, 2]`"),
    (r"[\"'].*", "there are no texts: values are numbers, vectors and matrices"),
    (r"//", "`/` divides; nothing is rounded"),
    (r"%", "there is no remainder"),
    (r"\b\d[\d.]*(?:e-?\d+)?\s*[A-Za-z(]\w*", "a product is `2 * w`"),
    (r"\d\.(?!\d)", "a digit stands on both sides of a point: `1.0`, `0.5`"),
    (r"(?<![\w.])\.\d", "a digit stands on both sides of a point: `1.0`, `0.5`"),
    (r"\bfrom\s+(?:first|last)\s*$", "a kind of token: `from last x`"),
)  # fmt: skip
"""Each with its hint; the first of which the fault is a part."""


def called(name: str) -> str | None:
    """The hint about a function of another language, by the last part of its name."""
    return FUNCTIONS.get(name.rpartition(".")[2])


def hint(line: str, column: int) -> str | None:
    """About a line of text and the place in it, from 0, where it stops being one of this language."""
    for dotted in re.finditer(r"[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)+", line):
        if dotted.start() <= column < dotted.end():
            name = dotted.group().rpartition(".")[2]
            return called(name) or f"functions stand alone: `{name}(…)`"
    code = line.split("#", 1)[0].rstrip()
    for shape, said in _SHAPES:
        for found in re.finditer(shape, code):
            if found.start() <= column <= max(found.end() - 1, found.start()) or (column >= len(code) == found.end()):
                return said
    if re.search(r"=.*[\w)\]]\s+$", code[:column]) and re.fullmatch(r"[A-Za-z_]\w*", code[column:]):
        return "a product is `a * b`, a matrix times a vector `A @ v`"
    return None
