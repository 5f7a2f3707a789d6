"""Trains scikit-learn's BernoulliRBM for so many seconds, as a careful user would.

usage: train_sklearn.py TRAIN.npy SECONDS HIDDEN OUT.npz

Batches of 100 by partial_fit (stochastic maximum likelihood, which is persistent contrastive divergence with one step),
the learning rate falling to a tenth; biases start at the data's means, as the other side's do.
"""
import sys
import time

import numpy as np
from sklearn.neural_network import BernoulliRBM


def main(train, seconds, hidden, out):
    x = np.load(train).astype(np.float32)
    model = BernoulliRBM(n_components=hidden, learning_rate=0.05, batch_size=100, random_state=1)
    order, started, updates = np.random.RandomState(1), time.monotonic(), 0
    model.partial_fit(x[:100])
    means = np.clip(x.mean(axis=0), 0.001, 0.999)
    model.intercept_visible_[:] = np.log(means / (1 - means))
    while time.monotonic() - started < seconds:
        for rows in np.array_split(order.permutation(len(x)), len(x) // 100):
            left = 1 - (time.monotonic() - started) / seconds
            if left < 0:
                break
            model.learning_rate = 0.005 + 0.045 * left
            model.partial_fit(x[rows])
            updates += 1
    np.savez(out, W=np.ascontiguousarray(model.components_.T).astype(np.float32),
             b=model.intercept_visible_.astype(np.float32), c=model.intercept_hidden_.astype(np.float32))
    print(updates, flush=True)


main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
