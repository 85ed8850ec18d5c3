# Averages and norms. K is a kind of token, v what its tokens hold.

# of the components of v
def average(v) = sum(v) / size(v)

# of sums by how many there were, 0 where there was none: n is a whole number
def ratio(a, n) = a / max(n, 1)

def norm(v) = sqrt(dot(v, v))

# over the K tokens that I see
def centred(v, K) = v - mean[j in K](v[j])

def variance(v, K)
    m = mean[j in K](v[j])
    output mean[j in K]((v[j] - m) ^ 2)

# mean 0 and variance 1 at the K tokens, component by component; `floor` is added to the variance
def standardised(v, K, floor) = centred(v, K) / sqrt(variance(v, K) + floor)

# vᵢ vⱼ of what is centred
def covariance(v, K)
    m = mean[j in K](v[j])
    output mean[j in K](outer(v[j] - m, v[j] - m))
