// eight schools, non-centred: posteriors.lua
data {
  int<lower=0> J;
  vector[J] estimate;
  vector<lower=0>[J] error;
}
parameters {
  vector[J] eta;
  real mu;
  real<lower=0> tau;
}
model {
  eta ~ std_normal();
  estimate ~ normal(mu + tau * eta, error);
  mu ~ normal(0, 5);
  tau ~ cauchy(0, 5);
}
