#!/usr/bin/python3
"""The benchmark's workloads in PyTorch, as a careful user writes them: the peer of workloads.lua.

Lives as long as the driver and does what it is told, a line on standard input at a time:
    run NAME UNITS    does so many units of the workload's work, answers with the seconds it took
    drop NAME         forgets what the workload has set up
    check NAME        answers with numbers that follow from the workload's mathematics (check_peer.lua compares them)
An answer is one line: "ok" and numbers, or "error" and a message.  Needs PyTorch 1.13 or newer; CPU only.
moons/train_torch.py adds workloads of its own.
"""
import math
import sys
import time

try:
    import torch
    from torch import nn
except ImportError as problem:
    print("error", problem, flush=True)
    sys.exit(0)

WORK = {}       # name -> function that sets the workload up and returns work(units)


def workload(name, *args):
    def add(setup):
        WORK[name] = lambda: setup(*args)
        return setup
    return add


# ---- the methods -------------------------------------------------------------------------------------------------

def mlp(*sizes):
    """[B, sizes[0]] -> [B, sizes[-1]], SiLU between the layers."""
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def convnet():
    """[B, 1, 32, 32] -> [B, 1]: four convolutions that halve the image, two dense layers, SiLU between all."""
    layers = []
    for inputs, outputs, kernel in ((1, 16, 5), (16, 32, 3), (32, 64, 3), (64, 64, 3)):
        layers += [nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2), nn.SiLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 64), nn.SiLU(), nn.Linear(64, 1))


def langevin(net, x, steps, step_size, noise_std):
    """x - step_size * gradient + noise, again and again.  Parameters need no gradient meanwhile."""
    net.requires_grad_(False)
    for _ in range(steps):
        x = x.detach().requires_grad_()
        grad, = torch.autograd.grad(net(x).sum(), x)
        x = x.detach() - step_size * grad + noise_std * torch.randn_like(x)
    net.requires_grad_(True)
    return x.detach()


def hmc(energy_and_grad, x, steps, step_size, leapfrog_steps):
    """Chains x [B, D]: leapfrog paths, each with a Metropolis test at its end."""
    for _ in range(steps):
        p = torch.randn_like(x)
        e, g = energy_and_grad(x)
        before = e + 0.5 * (p * p).sum(-1)
        y, p = x, p - 0.5 * step_size * g
        for i in range(leapfrog_steps):
            y = y + step_size * p
            e, g = energy_and_grad(y)
            p = p - (step_size if i + 1 < leapfrog_steps else 0.5 * step_size) * g
        after = e + 0.5 * (p * p).sum(-1)
        accept = torch.rand_like(after) < torch.exp(before - after)
        x = torch.where(accept[:, None], y, x)
    return x


def standard_normal(x):
    return 0.5 * (x * x).sum(-1), x


def cd_loss(net, real, start, steps, step_size, noise_std, reg=0.0):
    fake = langevin(net, start, steps, step_size, noise_std)
    high, low = net(real), net(fake)
    loss = high.mean() - low.mean()
    return loss + reg * (high ** 2 + low ** 2).mean() if reg else loss


def dsm_loss(net, x, noise, sigma):
    """|score at x + sigma noise, less its target -noise / sigma|^2"""
    noisy = (x + sigma * noise).requires_grad_()
    score = -torch.autograd.grad(net(noisy).sum(), noisy, create_graph=True)[0]
    return ((score + noise / sigma) ** 2).sum(-1).mean()


def ssm_loss(net, x, v):
    """v . (dscore/dx) v + (score . v)^2 / 2"""
    x = x.detach().requires_grad_()
    score = -torch.autograd.grad(net(x).sum(), x, create_graph=True)[0]
    along = (score * v).sum(-1)
    bend = torch.autograd.grad(along.sum(), x, create_graph=True)[0]
    return ((bend * v).sum(-1) + 0.5 * along ** 2).mean()


def train(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss


def rbm_step(v0, w, bv, bh, lr):
    """CD-1, the last hidden layer as probabilities; changes w, bv, bh in place."""
    h0 = torch.sigmoid(v0 @ w + bh)
    v1 = torch.bernoulli(torch.sigmoid(torch.bernoulli(h0) @ w.t() + bv))
    h1 = torch.sigmoid(v1 @ w + bh)
    w.add_(v0.t() @ h0 - v1.t() @ h1, alpha=lr / len(v0))
    bv.add_((v0 - v1).mean(0), alpha=lr)
    bh.add_((h0 - h1).mean(0), alpha=lr)


def silu_mul_add(x, y):
    return nn.functional.silu(x) * y + x


# ---- the workloads -----------------------------------------------------------------------------------------------

@workload("langevin_mlp_B1", (2, 128, 128, 1), 1)
@workload("langevin_mlp_B16", (2, 128, 128, 1), 16)
@workload("langevin_mlp_B100", (2, 128, 128, 1), 100)
@workload("langevin_mlp_B1024", (2, 128, 128, 1), 1024)
@workload("langevin_mlp_B10000", (2, 128, 128, 1), 10000)
@workload("langevin_mlp784", (784, 1024, 1024, 1), 512)
def setup_langevin(sizes, chains):
    net, x = mlp(*sizes), torch.randn(chains, sizes[0])
    return lambda units: langevin(net, x, units, 0.01, 0.14)


def training(net, loss):
    adam = torch.optim.Adam(net.parameters(), lr=1e-4)

    def work(units):
        for _ in range(units):
            train(adam, loss(net))
    return work


@workload("cd_mlp")
def setup_cd():
    real = torch.randn(100, 2)
    return training(mlp(2, 128, 128, 1),
                    lambda net: cd_loss(net, real, torch.randn_like(real), 100, 0.1, math.sqrt(0.2)))


@workload("dsm_mlp")
def setup_dsm():
    x = torch.randn(128, 2)
    return training(mlp(2, 128, 128, 1), lambda net: dsm_loss(net, x, torch.randn_like(x), 0.1))


@workload("ssm_100d")
def setup_ssm():
    x = torch.randn(128, 100)
    return training(mlp(100, 256, 256, 1), lambda net: ssm_loss(net, x, torch.randn_like(x)))


def images():
    return torch.rand(128, 1, 32, 32) * 2 - 1


@workload("langevin_conv32")
def setup_langevin_conv():
    net, x = convnet(), images()
    return lambda units: langevin(net, x, units, 10.0, 0.005)


@workload("cd_conv32")
def setup_cd_conv():
    real = images()
    return training(convnet(), lambda net: cd_loss(net, real, images(), 60, 10.0, 0.005, 0.1))


@workload("rbm_cd1")
def setup_rbm():
    w, bv, bh = 0.01 * torch.randn(784, 500), torch.zeros(784), torch.zeros(500)
    v0 = (torch.rand(100, 784) < 0.3).float()

    def work(units):
        for _ in range(units):
            rbm_step(v0, w, bv, bh, 0.01)
    return work


@workload("hmc_gauss_B1000_L10")
def setup_hmc():
    x = torch.randn(1000, 2)
    return lambda units: hmc(standard_normal, x, units, 0.3, 10)


def repeat(f):
    def work(units):
        for _ in range(units):
            f()
    return work


@workload("add_scalar")
def setup_add():
    a, b = torch.randn(1), torch.randn(1)

    def work(units):
        for _ in range(units):
            a + b
    return work


@workload("silu_mul_add_1m")
def setup_silu():
    x, y = torch.randn(1 << 20), torch.randn(1 << 20)
    return repeat(lambda: silu_mul_add(x, y))


@workload("randn_1m")
def setup_randn():
    return repeat(lambda: torch.randn(1 << 20))


@workload("gemm_1024")
def setup_gemm():
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return repeat(lambda: a @ b)


# ---- checks: numbers that the same work without chance must give -------------------------------------------------

def wave(phase, *sizes, scale=1.0):
    """Numbers both sides make alike: scale sin(0.37 k + phase), k = 0, 1, ..."""
    k = torch.arange(math.prod(sizes), dtype=torch.float64)
    return (scale * torch.sin(0.37 * k + phase)).float().reshape(sizes)


def with_waves(net, gain=1.0):
    """Its weights by their inputs, biases by their number."""
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            inputs = p.numel() // p.shape[0] if p.dim() > 1 else p.numel()
            p.copy_(wave(i, *p.shape, scale=gain / math.sqrt(inputs)))
    return net


def wave_mlp(*sizes, gain=1.0):
    return with_waves(mlp(*sizes), gain)


def digest(x):
    return [x.square().sum().item(), (x * wave(0.5, *x.shape)).sum().item()]


def losses(net, loss, steps=5):
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    return [train(adam, loss(net)).item() for _ in range(steps)]


def check_langevin(*sizes):
    return digest(langevin(wave_mlp(*sizes), wave(0.1, 16, sizes[0]), 3, 0.5, 0.0))


def check_cd():
    x = wave(0.1, 100, 2)
    return losses(wave_mlp(2, 128, 128, 1), lambda net: cd_loss(net, x, x, 10, 0.1, 0.0))


def check_langevin_conv():
    return digest(langevin(with_waves(convnet(), 2.0), wave(0.1, 5, 1, 32, 32), 3, 1.0, 0.0))


def check_cd_conv():
    x = wave(0.1, 20, 1, 32, 32)
    return losses(with_waves(convnet(), 2.0), lambda net: cd_loss(net, x, x, 5, 1.0, 0.0, 0.1))


def check_dsm():
    """A wide sigma and steep energy, so that the score matters beside its target."""
    net, x = wave_mlp(2, 128, 128, 1, gain=5.0), wave(0.1, 128, 2)
    return [sum(dsm_loss(net, x, torch.randn_like(x), 1.0).item() for _ in range(400)) / 400]


def check_ssm():
    x, v = wave(0.1, 128, 100), wave(0.2, 128, 100)
    return losses(wave_mlp(100, 256, 256, 1), lambda net: ssm_loss(net, x, v))


def check_rbm():
    """Biases that leave no choice: every unit's state is known."""
    v0, w = (wave(0.1, 100, 784) > 0).float(), wave(0.2, 784, 500, scale=1e-3)
    bv, bh = 50 * wave(0.3, 784).sign(), 50 * wave(0.4, 500).sign()
    rbm_step(v0, w, bv, bh, 0.01)
    return digest(w) + digest(bv) + digest(bh)


def check_hmc():
    """One path of large steps from points far out: where it leads tells step size, kicks, drifts and the test."""
    x = hmc(standard_normal, 2 + 0.5 * torch.randn(100000, 2), 1, 1.0, 4)
    return [x.mean().item(), x.var().item()]


def check_silu():
    x, y = wave(0.1, 1 << 20), wave(0.2, 1 << 20)
    return digest(silu_mul_add(x, y))


CHECKS = {
    "langevin_mlp_B16": lambda: check_langevin(2, 128, 128, 1),
    "langevin_mlp784": lambda: check_langevin(784, 1024, 1024, 1),
    "langevin_conv32": check_langevin_conv, "cd_conv32": check_cd_conv,
    "cd_mlp": check_cd, "dsm_mlp": check_dsm, "ssm_100d": check_ssm, "rbm_cd1": check_rbm,
    "hmc_gauss_B1000_L10": check_hmc, "silu_mul_add_1m": check_silu,
    "gemm_1024": lambda: digest(wave(0.1, 1024, 1024) @ wave(0.2, 1024, 1024)),
}


# ---- answering ---------------------------------------------------------------------------------------------------

ready = {}


def run(name, units):
    if name not in ready:
        ready[name] = WORK[name]()
    began = time.perf_counter()
    ready[name](units)
    seconds = time.perf_counter() - began
    time.sleep(0.01)            # OpenMP's threads spin a while after their work; the driver's turn comes after that
    return [seconds]


def answer(words):
    if words[0] == "run":
        return run(words[1], int(words[2]))
    if words[0] == "drop":
        ready.pop(words[1], None)
        return []
    return CHECKS[words[1]]()


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    torch.manual_seed(1)
    print("ok", torch.__version__, flush=True)
    for line in sys.stdin:
        try:
            print("ok", *answer(line.split()), flush=True)
        except Exception as problem:                     # the driver decides what a failed row means
            print("error", type(problem).__name__, str(problem).replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
