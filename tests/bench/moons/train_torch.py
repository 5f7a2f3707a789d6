#!/usr/bin/python3
"""The trainings of examples/two_moons.lua in PyTorch, as a careful user writes them: the peer of compare.lua.

Started and told what to do as ../peer_torch.py is; a unit is a training step on 256 rows.  Each method is there twice:
"cd" with the example's settings, so that it does the same work, and "cd_published" with those published for the table
of ebmkit 0.16, docs/benchmarks.md: unadjusted Langevin, 60 steps of 0.01 from the data or from the buffer.
"""
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from peer_torch import langevin, main, mlp, ssm_loss, train, workload  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

ROWS, BATCH = 8192, 256
SIGMAS = torch.logspace(math.log10(2), math.log10(0.05), 12)


def moons(n, noise=0.1):
    t, lower = math.pi * torch.rand(n), torch.rand(n) < 0.5
    x = torch.where(lower, 0.5 - t.cos(), t.cos() - 0.5)
    y = torch.where(lower, 0.25 - t.sin(), t.sin() - 0.25)
    return torch.stack([x, y], 1) + noise * torch.randn(n, 2)


def training(loss, params):
    """loss(rows [256, 2]) -> a scalar; work(units) makes so many steps of Adam."""
    adam, rows = torch.optim.Adam(params, lr=1e-3), moons(ROWS)
    order = []

    def work(units):
        for _ in range(units):
            if not order:
                order.extend(torch.randperm(ROWS).split(BATCH))
            train(adam, loss(rows[order.pop()]))
    return work


# ---- sampling ----------------------------------------------------------------------------------------------------

def value_and_grad(energy, x):
    x = x.detach().requires_grad_()
    e = energy(x)
    grad, = torch.autograd.grad(e.sum(), x)
    return x.detach(), e.detach(), grad


@torch.no_grad()
def metropolis(energy, x, steps, scale):
    """A random walk: one energy a step.  energy: [B, 2] -> [B]."""
    e = energy(x)
    for _ in range(steps):
        y = x + scale * torch.randn_like(x)
        ey = energy(y)
        accept = torch.rand_like(e).log() <= e - ey
        x, e = torch.where(accept[:, None], y, x), torch.where(accept, ey, e)
    return x


def negatives(net, x, steps, length, walks):
    """x moved along the chains of net: random walks, or unadjusted Langevin's."""
    if walks:
        return metropolis(lambda y: net(y).squeeze(-1), x, steps, length)
    return langevin(net, x, steps, length, math.sqrt(2 * length))


def contrast(pos, neg, reg):
    loss = pos.mean() - neg.mean()
    return loss + reg * (pos.square().mean() + neg.square().mean()) if reg else loss


# ---- the methods -------------------------------------------------------------------------------------------------

@workload("cd_published", 60, 0.01, False, 0.1)
@workload("cd", 20, 0.3, True, 0)
def setup_cd(steps, length, walks, reg):
    net = mlp(2, 128, 128, 1)
    return training(lambda x: contrast(net(x), net(negatives(net, x, steps, length, walks)), reg), net.parameters())


@workload("pcd_published", 60, 0.01, False, 0.1)
@workload("pcd", 20, 0.3, True, 0)
def setup_pcd(steps, length, walks, reg):
    net, buffer = mlp(2, 128, 128, 1), torch.randn(ROWS, 2)

    def loss(x):
        turn = torch.randperm(ROWS)[:BATCH]
        buffer[turn] = negatives(net, buffer[turn], steps, length, walks)
        return contrast(net(x), net(buffer[turn]), reg)
    return training(loss, net.parameters())


@workload("nce_published")
@workload("nce")
def setup_nce(ratio=4):
    net, log_z = mlp(2, 128, 128, 1), nn.Parameter(torch.zeros(()))
    noise = torch.distributions.MultivariateNormal(torch.zeros(2), torch.diag(torch.tensor([1.0, 0.49])))

    def logit(x):
        return -net(x).squeeze(-1) - log_z - noise.log_prob(x) - math.log(ratio)

    def loss(x):
        softplus = nn.functional.softplus
        return softplus(-logit(x)).mean() + ratio * softplus(logit(noise.sample((ratio * len(x),)))).mean()
    return training(loss, [*net.parameters(), log_z])


@workload("ssm_published")
@workload("ssm")
def setup_ssm():
    net = mlp(2, 128, 128, 1)
    return training(lambda x: ssm_loss(net, x, (torch.rand_like(x) < 0.5) * 2.0 - 1), net.parameters())


def at_level(net, x, sigma):
    """net(x, log sigma) / sigma: [B, 2], [B, 1] -> [B, 1]"""
    return net(torch.cat([x, sigma.log()], 1)) / sigma


def residual(net, x, noise, sigma):
    noisy = (x + sigma * noise).requires_grad_()
    grad, = torch.autograd.grad(at_level(net, noisy, sigma).sum(), noisy, create_graph=True)
    return 0.5 * (noise - sigma * grad).square().sum(-1).mean()


@workload("multi_dsm_published", False)
@workload("multi_dsm", True)
def setup_multi_dsm(antithetic):
    net = mlp(3, 128, 128, 1)

    def loss(x):
        sigma, noise = SIGMAS[torch.randint(12, (len(x), 1))], torch.randn_like(x)
        if antithetic:
            x, sigma, noise = x.repeat(2, 1), sigma.repeat(2, 1), torch.cat([noise, -noise])
        return residual(net, x, noise, sigma)
    return training(loss, net.parameters())


def with_sigma(net, x, sigma):
    """net(x, sigma): [B, 2], [B, 1] -> [B, 1]"""
    return net(torch.cat([x, sigma], 1))


def recover(level, x, noisier, s, steps, length, walks):
    """Where chains lead on z = (y - noisier) / s, walks from x on, else from z = 0; level(y) is the energy."""
    def energy(z):
        return level(noisier + s * z).squeeze(-1) + 0.5 * z.square().sum(-1)
    if walks:
        return noisier + s * metropolis(energy, (x - noisier) / s, steps, length)
    z = torch.zeros_like(x)
    for _ in range(steps):
        z, _, g = value_and_grad(energy, z)
        z = z - length * g + math.sqrt(2 * length) * torch.randn_like(z)
    return noisier + s * z


@workload("diffusion_recovery_published", SIGMAS, at_level, 30, 0.1, False)
@workload("diffusion_recovery", torch.tensor([2, 0.5, 0.05]), with_sigma, 24, 0.6, True)
def setup_recovery(sigmas, energy, steps, length, walks):
    net = mlp(3, 128, 128, 1)

    def loss(x):
        level = torch.randint(1, len(sigmas), (len(x), 1))
        above, sigma = sigmas[level - 1], sigmas[level]
        s = (above.square() - sigma.square()).sqrt()
        x = x + sigma * torch.randn_like(x)
        noisier = x + s * torch.randn_like(x)
        net.requires_grad_(False)
        y = recover(lambda v: energy(net, v, sigma), x, noisier, s, steps, length, walks)
        net.requires_grad_(True)
        return contrast(energy(net, x, sigma), energy(net, y, sigma), 0)
    return training(loss, net.parameters())


if __name__ == "__main__":
    main()
