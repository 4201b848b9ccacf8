import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmbench.runs import RunError
from newt_agent.layers import norm_mish, simnorm, sum_of_inputs
from newt_agent.world_model import SIZES, ModelConfig, WorldModel

TINY = ModelConfig(
    enc_dim=12, mlp_dim=20, latent_dim=16, num_enc_layers=3, num_q=3, obs_dim=9, action_dim=5
)
TASKS, LANGUAGE = 4, 6
ACTION_MASK = torch.arange(5) < torch.tensor([[5], [2], [1], [3]])
OBS_MASK = torch.arange(9) < torch.tensor([[9], [4], [7], [1]])


def make_model(language=LANGUAGE, seed=0, **changes):
    """A tiny model, none of whose parameters are zero."""
    g = torch.Generator().manual_seed(seed)
    config = replace(TINY, **changes)
    embeddings = torch.randn(TASKS, language, generator=g)
    model = WorldModel(config, embeddings, ACTION_MASK, OBS_MASK, generator=g)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=g))
    return model


def random_inputs(*lead, seed=1, config=TINY):
    g = torch.Generator().manual_seed(seed)
    obs = torch.randn(*lead, config.obs_dim, generator=g)
    action = torch.rand(*lead, config.action_dim, generator=g) * 2 - 1
    return obs, action


def normal(z, model, seed=0):
    """The noise of an action in each state."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*z.shape[:-1], model.config.action_dim, generator=g)


# Sizes


@pytest.mark.parametrize(
    "size, language, count",
    [
        ("S", 512, 2_143_284),
        ("B", 512, 7_261_566),
        ("B", 0, 5_033_342),  # single task
        ("L", 512, 20_356_734),
        ("XL", 512, 81_591_240),
    ],
)
def test_published_parameter_counts(size, language, count):
    with torch.device("meta"):  # counts without memory
        model = WorldModel(SIZES[size], torch.zeros(200, language), torch.ones(200, 16))
    assert model.num_parameters == count


def test_published_split_of_size_l():
    with torch.device("meta"):
        model = WorldModel(SIZES["L"], torch.zeros(200, 512), torch.ones(200, 16))
        rgb = WorldModel(
            replace(SIZES["L"], image_dim=768), torch.zeros(200, 512), torch.ones(200, 16)
        )
    counts = {n: sum(p.numel() for p in m.parameters()) for n, m in model.named_children()}
    assert counts == {
        "encoder": 2_235_904,
        "dynamics": 2_645_504,
        "reward_net": 2_223_205,
        "policy": 2_136_096,
        "q_net": 11_116_025,
        "target_q_net": 11_116_025,
    }
    assert sum(p.numel() for p in rgb.encoder.parameters()) == 3_022_336


# Layers


def test_simnorm_is_a_softmax_over_groups():
    x = 3 * torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0))
    out = simnorm(x, 8)
    for i in range(3):
        group = slice(8 * i, 8 * i + 8)
        torch.testing.assert_close(out[..., group], torch.softmax(x[..., group], -1))
    torch.testing.assert_close(out.unflatten(-1, (3, 8)).sum(-1), torch.ones(2, 5, 3))
    assert torch.isfinite(simnorm(1e4 * x, 8)).all()


@pytest.mark.parametrize("lead", [(), (3, 1)], ids=["one norm", "a norm a head"])
def test_norm_and_mish_and_their_gradient(lead):
    g = torch.Generator().manual_seed(0)
    # Of few entries one may be large: mish is tried far from 0 too.
    x = 10 * torch.randn(3, 500, 12, generator=g).double()
    weight, bias = (50 * torch.randn(*lead, 12, generator=g).double() for _ in range(2))
    up, results = torch.randn(x.shape, generator=g).double(), []

    def plain(x, weight, bias):
        return F.mish(F.layer_norm(x, (12,)) * weight + bias)

    for function in (norm_mish, plain):
        inputs = [t.clone().requires_grad_() for t in (x, weight, bias)]
        out = function(*inputs)
        out.backward(up)
        results.append([out, *(t.grad for t in inputs)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-8, rtol=1e-6)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(norm_mish(x, weight, bias), plain(x, weight, bias))
    assert torch.equal(x, before)


def test_inputs_are_summed_however_they_broadcast():
    g = torch.Generator().manual_seed(0)
    weight_x, weight_extra = torch.randn(7, 5, generator=g), torch.randn(7, 3, generator=g)
    for shape_x, shape_extra, shape_term in (
        ((4, 6), (4, 6), (4, 1)),
        ((4, 6), (4, 6), (6,)),
        ((4, 6), (4, 6), (2, 4, 6)),
        ((4, 1), (4, 6), (4, 1)),
        ((6,), (4, 6), ()),
    ):
        x, extra = torch.randn(*shape_x, 5, generator=g), torch.randn(*shape_extra, 3, generator=g)
        term = torch.randn(*shape_term, 7, generator=g)
        expected = x @ weight_x.T + extra @ weight_extra.T + term
        for gradients in (True, False):
            with torch.set_grad_enabled(gradients):
                ours = sum_of_inputs(x, weight_x, extra, weight_extra, term)
            torch.testing.assert_close(ours, expected)


# Shapes, broadcasting, reuse


def test_latent_states_are_simplices():
    model = make_model()
    obs, action = random_inputs(7)
    task = torch.arange(7) % TASKS
    context = model.context(task)
    z = model.encode(obs, context)
    for latent in (z, model.next(z, action, context)):
        assert latent.shape == (7, 16) and (latent > 0).all()
        torch.testing.assert_close(latent.view(7, 2, 8).sum(-1), torch.ones(7, 2))


def all_outputs(model, obs, action, task, z=None, seed=0):
    """Every output, stacked values first where an ensemble has several."""
    context = model.context(task)
    z = model.encode(obs, context) if z is None else z
    mean, log_std = model.pi(z, context)
    sampled, info = model.sample_action(z, context, normal(z, model, seed))
    return {
        "z": z,
        "next": model.next(z, action, context),
        "reward": model.reward(z, action, context),
        "Q": model.Q(z, action, context).movedim(0, -2),
        "target_Q": model.Q(z, action, context, target=True).movedim(0, -2),
        "pi_mean": mean,
        "pi_log_std": log_std,
        "sampled": sampled,
        **{name: value for name, value in info.items() if name != "mask"},
    }


@pytest.mark.parametrize("language", [LANGUAGE, 0])
def test_task_broadcasts_aligned_on_the_right(language):
    model = make_model(language)
    obs, action = random_inputs(3, 6)
    for task in (
        torch.tensor([0, 1, 2, 3, 2, 1]),  # over time: [batch]
        torch.tensor([[0], [3], [1]]),  # over candidates: [envs, 1]
        torch.tensor(2),
        torch.randint(TASKS, (3, 6), generator=torch.Generator().manual_seed(0)),
    ):
        out = all_outputs(model, obs, action, task)
        full = task.expand(3, 6)
        for i, j in ((0, 0), (1, 4), (2, 5)):
            one = all_outputs(model, obs[i, j], action[i, j], full[i, j])
            for name in ("z", "next", "reward", "Q", "target_Q", "pi_mean", "pi_log_std"):
                assert out[name].shape[:2] == (3, 6)
                torch.testing.assert_close(out[name][i, j], one[name], msg=name)


def test_one_state_broadcasts_against_many_actions():
    model = make_model()
    obs, action = random_inputs(3, 6)
    task = torch.tensor([[0], [3], [1]])
    context = model.context(task)
    z = model.encode(obs[:, :1], context)
    for name in ("next", "reward", "Q"):
        method = getattr(model, name)
        torch.testing.assert_close(
            method(z, action, context), method(z.expand(-1, 6, -1), action, context)
        )


@pytest.mark.parametrize("shape", [(2,), (3, 1), (7,)])  # fewer and more rows than tasks
@pytest.mark.parametrize("language", [LANGUAGE, 0])
def test_a_context_holds_each_task_s_own_row(language, shape):
    model = make_model(language, terminations=True)
    task = torch.randint(TASKS, shape, generator=torch.Generator().manual_seed(0))
    context = model.context(task)
    for place in torch.cartesian_prod(*map(torch.arange, shape)).view(-1, len(shape)).tolist():
        one = model.context(task[tuple(place)])
        for name, alone, all_of_them in zip(context._fields, one, context, strict=True):
            by_task = language or name in ("task", "action_mask", "observation_mask", "terminating")
            row = all_of_them[tuple(place)] if by_task else all_of_them
            torch.testing.assert_close(row, alone, msg=name)


def test_the_language_of_a_task_matters():
    model = make_model()
    obs, action = random_inputs(1)
    obs = obs * OBS_MASK.all(0)
    # Tasks 1 and 2 with equal masks, so that only the embedding differs.
    model.action_mask[:] = True
    model.observation_mask[:] = True
    one = all_outputs(model, obs, action, torch.tensor([1]))
    other = all_outputs(model, obs, action, torch.tensor([2]))
    for name in ("z", "next", "reward", "Q", "target_Q", "pi_mean", "pi_log_std"):
        assert not torch.allclose(one[name], other[name]), name


def test_chosen_heads_are_those_of_the_ensemble():
    model = make_model()
    obs, action = random_inputs(4)
    task = torch.arange(4)
    context = model.context(task)
    z = model.encode(obs, context)
    for target in (False, True):
        every = model.Q(z, action, context, target=target)
        chosen = model.Q(z, action, context, target=target, heads=torch.tensor([2, 0]))
        torch.testing.assert_close(chosen, every[[2, 0]])


def test_detached_q_sends_gradients_to_inputs_only():
    model = make_model()
    obs, action = random_inputs(4)
    task = torch.arange(4)
    context = model.context(task)
    z = model.encode(obs, context).detach()
    grads = []
    for detach in (False, True):
        model.zero_grad(set_to_none=True)
        a = action.clone().requires_grad_()
        model.decode(
            model.Q(z, a, context, heads=torch.tensor([0, 2]), detach=detach)
        ).sum().backward()
        grads.append(a.grad)
        touched = [p for p in model.parameters() if p.grad is not None]
        assert bool(touched) != detach
    torch.testing.assert_close(*grads)
    model.Q(z, action.clone().requires_grad_(), context, detach=True).sum().backward()
    assert all(p.grad is None for p in model.parameters())


def test_images_enter_the_encoder():
    model = make_model(image_dim=7)
    obs, _ = random_inputs(4)
    task = torch.arange(4)
    context = model.context(task)
    image = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0))
    a, b = model.encode(obs, context, image[0]), model.encode(obs, context, image[1])
    assert a.shape == (4, 16) and not torch.allclose(a, b)
    with pytest.raises(ValueError, match=r"needs image features \[..., 7\]"):
        model.encode(obs, context)
    with pytest.raises(ValueError, match="takes no image"):
        make_model().encode(obs, context, image[0])


# Masks


@pytest.mark.parametrize("fill", [0.5, -3e8, float("nan"), float("inf")])
def test_masked_entries_change_no_output_and_no_gradient(fill):
    model = make_model()
    task = torch.tensor([0, 1, 2, 3, 1])
    obs, action = random_inputs(2, 5)
    zeros = (
        torch.where(OBS_MASK[task], obs, 0.0).requires_grad_(),
        torch.where(ACTION_MASK[task], action, 0.0).requires_grad_(),
    )
    filled = (
        torch.where(OBS_MASK[task], obs, fill).requires_grad_(),
        torch.where(ACTION_MASK[task], action, fill).requires_grad_(),
    )
    results = []
    for o, a in (zeros, filled):
        model.zero_grad(set_to_none=True)
        out = all_outputs(model, o, a, task)
        sum(x.square().sum() for x in out.values()).backward()
        grads = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
        results.append({**out, **grads, "obs_grad": o.grad, "action_grad": a.grad})
    assert any(name.startswith("policy") for name in results[0])
    for name, value in results[0].items():
        assert value is not None, name
        assert torch.equal(value, results[1][name]), name
    assert (results[1]["obs_grad"][:, ~OBS_MASK[task]] == 0).all()
    assert (results[1]["action_grad"][:, ~ACTION_MASK[task]] == 0).all()
    assert (results[1]["action_grad"][:, ACTION_MASK[task]] != 0).all()
    assert (results[1]["obs_grad"][:, OBS_MASK[task]] != 0).all()


def test_policy_is_silent_at_masked_entries():
    model = make_model()
    task = torch.arange(TASKS)
    context = model.context(task)
    obs, _ = random_inputs(TASKS)
    z = model.encode(obs, context)
    mean, log_std = model.pi(z, context)
    action, _ = model.sample_action(z, context, normal(z, model))
    for x in (mean, log_std, action):
        assert (x[~ACTION_MASK] == 0).all() and (x[ACTION_MASK] != 0).all()
    assert (mean.abs() < 1).all()
    assert (log_std >= -10).all() and (log_std <= 2).all()


# The policy's distribution


def test_samples_follow_the_reported_distribution():
    model = make_model(log_std_min=-3.0, log_std_max=-1.0)  # seldom where tanh is flat
    obs, _ = random_inputs(1)
    task = torch.tensor([3])  # three entries
    context = model.context(task)
    z = model.encode(obs, context).expand(20_000, -1)
    action, info = model.sample_action(z, context, normal(z, model))
    mean, log_std = model.pi(z[:1], context)
    raw = torch.atanh(action[:, :3].double())
    error = (raw.mean(0) - torch.atanh(mean[0, :3].double())) / log_std[0, :3].exp()
    assert (error.abs() < 5 / 20_000**0.5).all()
    torch.testing.assert_close(
        raw.std(0).log().float(), log_std[0, :3], rtol=0, atol=5 / 40_000**0.5
    )

    gaussian = torch.distributions.Normal(torch.atanh(mean[:, :3]), log_std[:, :3].exp())
    log_prob = gaussian.log_prob(raw.float()).sum(-1)
    inner = (action.abs() < 0.99).all(-1)  # where atanh is accurate
    assert inner.sum() > 1000
    torch.testing.assert_close(info["log_prob"][inner], log_prob[inner], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(info["scaled_entropy"], -3 * info["log_prob"])
    squashed = log_prob - torch.log(1 - action[:, :3] ** 2).sum(-1)
    torch.testing.assert_close(info["entropy"][inner], -squashed[inner], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(info["mean"][:1], mean)
    torch.testing.assert_close(info["log_std"][:1], log_std)


def test_an_action_is_a_function_of_the_noise():
    model = make_model()
    obs, _ = random_inputs(4)
    context = model.context(torch.arange(4))
    z = model.encode(obs, context)
    before = torch.random.get_rng_state()
    a, b, c = (model.sample_action(z, context, normal(z, model, s))[0] for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.random.get_rng_state(), before)


# Initialisation and the target network


def test_initial_weights():
    g = torch.Generator().manual_seed(0)
    model = WorldModel(SIZES["S"], torch.randn(3, 32), torch.ones(3, 16), generator=g)
    g.manual_seed(0)
    again = WorldModel(SIZES["S"], torch.randn(3, 32), torch.ones(3, 16), generator=g)
    for (name, p), q in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q), name
        if "norm" in name:
            assert (p == (1 if name.endswith("weight") else 0)).all(), name
        elif "bias" in name or "weight3" in name or name == "reward_net.linears.1.weight":
            assert (p == 0).all(), name
        else:
            assert p.std().item() == pytest.approx(0.02, rel=0.05), name
    obs, action = random_inputs(3, config=SIZES["S"])
    task = torch.arange(3)
    context = model.context(task)
    z = model.encode(obs, context)
    assert (model.decode(model.reward(z, action, context)).abs() < 1e-5).all()
    assert (model.decode(model.Q(z, action, context)).abs() < 1e-5).all()


def test_target_is_a_copy_of_its_own_that_lags():
    model = make_model()
    fresh = WorldModel(TINY, torch.randn(TASKS, LANGUAGE), ACTION_MASK)
    for p, q in zip(fresh.q_net.parameters(), fresh.target_q_net.parameters(), strict=True):
        assert torch.equal(p, q) and p.data_ptr() != q.data_ptr()
        assert p.requires_grad and not q.requires_grad

    obs, action = random_inputs(4)
    task = torch.arange(4)
    z = model.encode(obs, model.context(task))

    def values(target):
        return model.Q(z, action, model.context(task), target=target)

    before = values(target=True)
    with torch.no_grad():
        for p in model.q_net.parameters():
            p.add_(1.0)
    assert torch.equal(values(target=True), before)
    with torch.no_grad():
        for p in model.target_q_net.parameters():
            p.mul_(0.5)
    assert not torch.allclose(values(target=True), before)

    old = copy.deepcopy(model.target_q_net)
    model.update_target(0.01)
    for t, o, q in zip(
        model.target_q_net.parameters(), old.parameters(), model.q_net.parameters(), strict=True
    ):
        torch.testing.assert_close(t, 0.99 * o + 0.01 * q)
        assert not t.requires_grad
    model.update_target(1.0)
    torch.testing.assert_close(values(target=True), values(target=False))


def test_parameter_groups_cover_every_trained_parameter_once():
    model = make_model()
    encoder, rest = model.parameter_groups(3e-4, 0.3)
    assert encoder["lr"] == pytest.approx(9e-5) and rest["lr"] == 3e-4
    assert {id(p) for p in encoder["params"]} == {id(p) for p in model.encoder.parameters()}
    main = [id(p) for group in (encoder, rest) for p in group["params"]]
    policy = [id(p) for p in model.policy.parameters()]
    trained = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(main + policy) == sorted(trained)
    both = [id(p) for group in model.parameter_groups(1, 1, policy=True) for p in group["params"]]
    assert sorted(both) == sorted(trained)


def test_state_dict_restores_everything():
    model, other = make_model(seed=0), make_model(seed=5)
    with torch.no_grad():
        model.target_q_net.bias.add_(1)
    model.action_mask[0, 0] = False
    other.load_state_dict(model.state_dict())
    obs, action = random_inputs(4)
    ours, theirs = (all_outputs(m, obs, action, torch.arange(4)) for m in (model, other))
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name
    names = set(model.state_dict())
    assert {"task_embeddings", "action_mask", "observation_mask"} <= names
    pointers = [t.data_ptr() for t in model.state_dict().values() if t.numel()]
    assert len(pointers) == len(set(pointers))


# Errors


@pytest.mark.parametrize(
    "change, match",
    [
        ({"latent_dim": 20}, "multiple of simnorm_dim"),
        ({"num_q": 1}, "num_q"),
        ({"num_enc_layers": 1}, "num_enc_layers"),
        ({"vmin": 10.0}, "vmin"),
        ({"image_dim": None}, "image_dim=None: an integer"),
        ({"mlp_dim": 2**40}, "mlp_dim"),
    ],
)
def test_rejects_impossible_sizes(change, match):
    with pytest.raises(RunError, match=match):
        replace(TINY, **change)


def test_rejects_tables_that_do_not_fit():
    emb = torch.zeros(TASKS, LANGUAGE)
    with pytest.raises(ValueError, match=r"task_embeddings must be \[tasks, language\]"):
        WorldModel(TINY, emb[0], ACTION_MASK)
    with pytest.raises(ValueError, match=r"action_mask must be \[4, 5\], not \[3, 5\]"):
        WorldModel(TINY, emb, ACTION_MASK[:3])
    with pytest.raises(ValueError, match=r"observation_mask must be \[4, 9\]"):
        WorldModel(TINY, emb, ACTION_MASK, OBS_MASK[:, :5])
