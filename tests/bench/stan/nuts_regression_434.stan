// a straight line through points: posteriors.lua
data {
  int<lower=0> N;
  vector[N] x;
  vector[N] y;
}
parameters {
  real a;
  real b;
  real<lower=0> sigma;
}
model {
  y ~ normal(a + b * x, sigma);
  sigma ~ cauchy(0, 2.5);
}
