# The label of the nearest example: kernel regression with a narrow kernel.
# Source: Cover & Hart 1967, "Nearest neighbor pattern classification",
# IEEE Trans. Inf. Theory 13(1).
program nearest_neighbour(d, sharpness = 1e5)

tokens (x y)* x
    x : vector[d]
    y : scalar

def square(v) = dot(v, v)

at y
    u = move x from previous

at x
    output softmax[j in y](-sharpness * square(x - u[j]), y[j])
