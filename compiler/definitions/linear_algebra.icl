# Linear algebra of small matrices.

def trace(A) = sum(diag(A))

# A + c I
def shifted(A, c) = A + c * identity(size(A))

# A⁻¹ of a symmetric positive definite A, by Jordan's sweeps of its pivots (Goodnight 1979, "A Tutorial on the SWEEP
# Operator"): with p = a₁₁, r the first row and e the first unit vector, A − (r − e)(r − e)ᵀ / p − 2 e eᵀ has −1 / p for p,
# r / p beside it, and what is left of the others. Each pass sweeps the first and turns the next one to its place; after
# all of them A is −A⁻¹.
def inverse(A)
    e = identity(size(A))[1]
    turn = concat(identity(size(A)), identity(size(A)))[2:size(A) + 1]
    M = A
    repeat size(A)
        r = M[1] - e
        S = M - outer(r, r) / M[1, 1] - 2 * outer(e, e)
        M = turn @ S @ transpose(turn)
    output -M

# A⁻¹ b of a symmetric positive definite A
def solve(A, b) = inverse(A) @ b
