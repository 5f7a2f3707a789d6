-- noise_contrastive.lua -- noise contrastive estimation: a normalised density from a classifier.
--
-- The model learns to tell data from noise whose density is known.  The best classifier's log odds are log p(x) - log
-- p_noise(x), so the energy and its log normaliser are learned together (Gutmann and Hyvärinen 2012).  On the plane
-- the normaliser can also be had by quadrature, and the test points' log-likelihood compared with the truth's.

local p = neap.energy.gmm{means = neap.tensor {{2, 0}, {-1, 1.7}, {-1, -1.7}}, std = neap.tensor(.4)}
local noise = neap.energy.gaussian{mean = neap.zeros(2), std = 2}

neap.seed(1)
local train, test = p:sample(8000), p:sample(4000)
local E = neap.energy.mlp{sizes = {2, 64, 64}}
local loss = neap.loss.nce{noise = noise, ratio = 2}
local history = neap.train(E, train, {
  loss = loss, batch = 256, steps = 2500, seed = 2,
  optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 3e-3, steps = 2500}},
})
print(("loss %.4f -> %.4f in %.1f s"):format(history.loss[1], history.loss[#history.loss], history.seconds))

local learned = loss:params()[1]:item()
local exact = E:log_z{method = "quadrature", lower = {-8, -8}, upper = {8, 8}, points = 400}
print(("log Z: learned %.3f, by quadrature %.3f"):format(learned, exact))

local by_model, by_truth = E:log_prob(test, {log_z = exact}):mean():item(), -p(test):mean():item()
print(("test log-likelihood: model %.3f, truth %.3f nats"):format(by_model, by_truth))
