program faulty(d)

w : vector[d] = 0
