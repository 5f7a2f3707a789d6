// an autoregression, its lags as a matrix: posteriors.lua
data {
  int<lower=0> K;
  int<lower=K> T;
  vector[T] y;
}
transformed data {
  matrix[T - K, K] before;
  for (k in 1:K) before[, k] = y[(K + 1 - k):(T - k)];
}
parameters {
  real alpha;
  vector[K] beta;
  real<lower=0> sigma;
}
model {
  y[(K + 1):T] ~ normal(alpha + before * beta, sigma);
  alpha ~ normal(0, 10);
  beta ~ normal(0, 10);
  sigma ~ cauchy(0, 2.5);
}
