"""What bench_vit and bench_gemm measure, in PyTorch: peer_vit.py KIND [ITERATIONS [PATCH]], KIND forward, train, gemm, or a
mixture of experts: moe, router where every expert sees all tokens and its output is masked, moe_gather, router_gather
where it sees its own tokens alone. One JSON line; with PEAK=1 the process's peak memory instead."""
import json
import os
import resource
import statistics
import sys
import time

import torch
from torch import nn

PATCH = int(sys.argv[3]) if len(sys.argv) > 3 else 32
BATCH, TOKENS = (32, 50) if PATCH == 32 else (8, 197)
RANK, CLASSES, LAYERS, WIDTH, HEADS, MLP, EMBED, EXPERTS = 16, 100, 12, 768, 12, 3072, 512, 3


class Lora(nn.Module):
    """y = x W^T + b + (alpha / r) (x A^T) B^T over a frozen linear layer."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(RANK, base.in_features) * 0.02)
        self.b = nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x):
        return self.base(x) + 2.0 * (x @ self.a.T @ self.b.T)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(WIDTH, MLP), nn.Linear(MLP, WIDTH)
        self.mixture = None

    def forward(self, x):
        b, t, c = x.shape
        n = self.ln1(x)
        q, k, v = (f(n).view(b, t, HEADS, c // HEADS).transpose(1, 2) for f in (self.q, self.k, self.v))
        p = torch.softmax((q * (c // HEADS) ** -0.5) @ k.transpose(-1, -2), -1)
        x = x + self.o((p @ v).transpose(1, 2).reshape(b, t, c))
        if self.mixture:
            return x + self.mixture(self.ln2(x))
        u = self.fc1(self.ln2(x))
        return x + self.fc2(u * torch.sigmoid(1.702 * u))


class Expert(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.fc1, self.fc2 = Lora(block.fc1), Lora(block.fc2)

    def forward(self, z):
        u = self.fc1(z)
        return self.fc2(u * torch.sigmoid(1.702 * u))


class Mixture(nn.Module):
    """Top-1, raw weights, the context-aware router."""

    def __init__(self, block, gather):
        super().__init__()
        self.gather = gather
        self.experts = nn.ModuleList(Expert(block) for _ in range(EXPERTS))
        self.router = nn.Parameter(torch.randn(EXPERTS, WIDTH) * 0.05)
        self.share = nn.Parameter(torch.tensor(0.3))

    def forward(self, z):
        share = self.share.clamp(0, 1)
        seen = (1 - share) * z + share * z.mean(1, keepdim=True)
        weight, chosen = torch.softmax(seen @ self.router.T, -1).max(-1)
        y = torch.zeros_like(z)
        for k, expert in enumerate(self.experts):
            mask = chosen == k
            if self.gather:
                y[mask] = expert(z[mask]) * weight[mask].unsqueeze(-1)
            else:
                y = y + expert(z) * (weight * mask).unsqueeze(-1)
        return y


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.cls, self.pos = nn.Parameter(torch.randn(WIDTH)), nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.pre, self.post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.project = nn.Linear(WIDTH, EMBED, bias=False)

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos
        return self.project(self.post(self.blocks(self.pre(x))[:, 0]))


def mix(model, gather):
    for block in model.blocks:
        block.mixture = Mixture(block, gather)
    return model


def forward_step(gather=None):
    model = Vision().requires_grad_(False).eval()
    model = model if gather is None else mix(model, gather)
    pixels = torch.randn(BATCH, 3, 224, 224)

    def step():
        with torch.inference_mode():
            model(pixels)

    return step


def train_step(gather=None):
    model = Vision().requires_grad_(False)
    for block in model.blocks if gather is None else []:
        block.fc1, block.fc2 = Lora(block.fc1), Lora(block.fc2)
    model = model if gather is None else mix(model, gather)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01, momentum=0.9)
    pixels, labels = torch.randn(BATCH, 3, 224, 224), torch.arange(BATCH) % CLASSES
    text = nn.functional.normalize(torch.randn(CLASSES, EMBED), dim=1)

    def step():
        logits = 100 * nn.functional.normalize(model(pixels), dim=1) @ text.T
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()

    return step


def gemm_step():
    a, b = torch.randn(1600, 768), torch.randn(3072, 768)
    return lambda: torch.mm(a, b.T)


def main():
    kind = sys.argv[1]
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    torch.manual_seed(0)
    step = {
        "forward": forward_step,
        "train": train_step,
        "gemm": gemm_step,
        "moe": lambda: forward_step(False),
        "moe_gather": lambda: forward_step(True),
        "router": lambda: train_step(False),
        "router_gather": lambda: train_step(True),
    }[kind]()
    step()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    if "PEAK" in os.environ:
        print(json.dumps({"name": kind, "value": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "unit": "MiB"}))
    elif kind == "gemm":
        print(json.dumps({"name": "gemm", "value": 2e-9 * 1600 * 3072 * 768 / min(seconds), "unit": "GFLOP/s"}))
    else:
        print(json.dumps({"name": kind, "value": BATCH / statistics.median(seconds), "unit": "img/s"}))


main()
