"""Newt's objectives derived a second time, in NumPy and double precision, of a tiny model.

The model has two heads, so that both are always drawn, and a policy with nearly no noise, so that
its samples are its means: the losses are then functions without chance.
"""

from types import SimpleNamespace

import numpy as np
import torch

from newt_agent.losses import Batch, update_noise
from newt_agent.world_model import ModelConfig, WorldModel

CONFIG = ModelConfig(
    enc_dim=12,
    mlp_dim=20,
    latent_dim=16,
    num_enc_layers=3,
    num_q=2,
    num_bins=21,
    log_std_min=-30.0,
    log_std_max=-25.0,
    obs_dim=9,
    action_dim=5,
)
TASKS, HORIZON, BATCH = 3, 3, 6
ACTION_MASK = torch.arange(5) < torch.tensor([[5], [2], [3]])
OBS_MASK = torch.arange(9) < torch.tensor([[9], [4], [7]])
DISCOUNT = torch.tensor([0.99, 0.95, 0.5])
RHO = np.array([8, 4, 2, 1]) / 15


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(model, batch, seed=0):
    return update_noise(model, batch).draw(generator(seed))


def make_model(config=CONFIG, seed=0):
    g = generator(seed)
    model = WorldModel(config, torch.randn(TASKS, 6, generator=g), ACTION_MASK, OBS_MASK, g)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=g))
    return model


def make_batch(seed=1, fill=0.0, image_dim=0):
    g = generator(seed)
    task = torch.randint(TASKS, (BATCH,), generator=g)
    obs = torch.randn(HORIZON + 1, BATCH, 9, generator=g)
    action = torch.rand(HORIZON, BATCH, 5, generator=g) * 2 - 1
    reward = 3 * torch.randn(HORIZON, BATCH, generator=g)
    image = torch.randn(HORIZON + 1, BATCH, image_dim, generator=g) if image_dim else None
    obs = torch.where(OBS_MASK[task], obs, fill)
    action = torch.where(ACTION_MASK[task], action, fill)
    return Batch(obs, action, reward, task, image)


class Reference:
    """The model and its losses in NumPy float64; inputs are concatenated, loops are plain."""

    def __init__(self, model):
        self.p = {k: v.double().numpy().copy() for k, v in model.state_dict().items()}
        self.emb, self.mask = self.p["task_embeddings"], ACTION_MASK.numpy()
        self.config = model.config

    def layer_norm(self, x, weight, bias):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight + bias

    def mish(self, x):
        return x * np.tanh(np.log1p(np.exp(x)))

    def softmax(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def mlp(self, name, inputs, simnorm=False):
        p = self.p
        weight = [p[f"{name}.weight_x"], p[f"{name}.weight_language"]]
        if f"{name}.weight_extra" in p:
            weight.append(p[f"{name}.weight_extra"])
        h = np.concatenate(inputs, -1) @ np.concatenate(weight, -1).T + p[f"{name}.bias"]
        layers = sum(k.startswith(f"{name}.linears") and k.endswith("weight") for k in p)
        for i in range(layers):
            h = self.layer_norm(h, p[f"{name}.norms.{i}.weight"], p[f"{name}.norms.{i}.bias"])
            h = self.mish(h) @ p[f"{name}.linears.{i}.weight"].T + p[f"{name}.linears.{i}.bias"]
        if simnorm:
            norm = f"{name}.norms.{layers}"
            h = self.layer_norm(h, p[f"{norm}.weight"], p[f"{norm}.bias"])
            h = self.softmax(h.reshape(*h.shape[:-1], -1, 8)).reshape(h.shape)
        return h

    def encode(self, obs, task):
        return self.mlp("encoder", [obs, self.emb[task]], simnorm=True)

    def next(self, z, a, task):
        return self.mlp("dynamics", [z, self.emb[task], a], simnorm=True)

    def reward(self, z, a, task):
        return self.mlp("reward_net", [z, self.emb[task], a])

    def pi(self, z, task):
        return np.tanh(self.mlp("policy", [z, self.emb[task]])[..., :5]) * self.mask[task]

    def Q(self, z, a, task, head, name="q_net"):
        p = {k.split(".")[1]: v[head] for k, v in self.p.items() if k.startswith(name + ".")}
        weight = np.concatenate([p["weight_x"], p["weight_language"], p["weight_extra"]], -1)
        h = np.concatenate([z, self.emb[task], a], -1) @ weight.T + p["bias"]
        h = self.mish(self.layer_norm(h, p["norm1_weight"], p["norm1_bias"]))
        h = h @ p["weight2"].T + p["bias2"]
        h = self.mish(self.layer_norm(h, p["norm2_weight"], p["norm2_bias"]))
        return h @ p["weight3"].T + p["bias3"]

    def decode(self, logits):
        v = self.softmax(logits) @ np.linspace(-10, 10, CONFIG.num_bins)
        return np.sign(v) * (np.exp(np.abs(v)) - 1)

    def cross_entropy(self, logits, target):
        """Mean over the batch, one sample at a time."""
        bins = np.linspace(-10, 10, CONFIG.num_bins)
        total = 0.0
        for row, y in zip(logits, target, strict=True):
            y = np.clip(np.sign(y) * np.log1p(np.abs(y)), -10, 10)
            soft = np.maximum(0, 1 - np.abs(y - bins) / (bins[1] - bins[0]))
            total -= soft @ np.log(self.softmax(row))
        return total / len(target)

    def constants(self, batch):
        """What the world-model loss holds constant: encodings of what followed, TD targets."""
        task = batch.task.numpy()
        observed = self.encode(batch.obs[1:].double().numpy(), task[None].repeat(HORIZON, 0))
        targets = []
        for t in range(HORIZON):
            a = self.pi(observed[t], task)
            q = [self.decode(self.Q(observed[t], a, task, head, "target_q_net")) for head in (0, 1)]
            discount = DISCOUNT.double().numpy()[task]
            targets.append(batch.reward[t].double().numpy() + discount * np.minimum(*q))
        return observed, targets

    def rollout(self, batch):
        task = batch.task.numpy()
        zs = [self.encode(batch.obs[0].double().numpy(), task)]
        for t in range(HORIZON):
            zs.append(self.next(zs[-1], batch.action[t].double().numpy(), task))
        return zs

    def world_model_loss(self, batch, constants):
        task, (observed, targets) = batch.task.numpy(), constants
        zs = self.rollout(batch)
        consistency = reward = value = 0.0
        for t in range(HORIZON):
            a, r = batch.action[t].double().numpy(), batch.reward[t].double().numpy()
            consistency += RHO[t] * ((zs[t + 1] - observed[t]) ** 2).mean()
            reward += RHO[t] * self.cross_entropy(self.reward(zs[t], a, task), r)
            for head in (0, 1):
                logits = self.Q(zs[t], a, task, head)
                value += RHO[t] * self.cross_entropy(logits, targets[t]) / 2
        total = 20 * consistency + 0.1 * reward + 0.1 * value
        return SimpleNamespace(consistency=consistency, reward=reward, value=value, total=total)

    def policy_loss(self, batch, zs, scale, pretrain=False):
        """Without entropy. `zs` are constants."""
        task = batch.task.numpy()
        bc = value = 0.0
        for t, z in enumerate(zs):
            a = self.pi(z, task)
            if t < HORIZON:
                replayed = batch.action[t].double().numpy()
                for i in range(BATCH):
                    n = self.mask[task[i]].sum()
                    error = a[i, :n] - replayed[i, :n]
                    bc += RHO[t] * (error**2).mean() / BATCH
            q = [self.decode(self.Q(z, a, task, head)) for head in (0, 1)]
            value += RHO[t] * np.mean(q) / scale
        return bc / HORIZON if pretrain else bc - value
