"""The paper's text encoder, on a small CLIP with random weights."""

import subprocess
import sys
import types

import numpy as np
import pytest

from mmbench.language import encoders

torch = pytest.importorskip("torch")

WIDTH, HEADS, LAYERS, CONTEXT = 24, 3, 2, 16
TEXTS = [
    "Walk.",
    "Push the cube forward.",
    "Swing the pole up and balance it over the middle of the rail for as long as possible.",
]


@pytest.fixture(scope="module")
def open_clip():
    """Imported by the first test that needs it: it takes seconds."""
    reason = "needs open_clip and a torchvision of torch's build"
    return pytest.importorskip("open_clip", reason=reason, exc_type=Exception)


@pytest.fixture(scope="module")
def tokenizer(open_clip):
    return open_clip.tokenizer.SimpleTokenizer()


@pytest.fixture(scope="module")
def tiny_clip(open_clip):
    torch.manual_seed(0)
    model = open_clip.model.CLIP(
        embed_dim=8,
        vision_cfg=dict(image_size=16, patch_size=16, width=16, head_width=8, layers=1),
        text_cfg=dict(
            context_length=CONTEXT, vocab_size=49408, width=WIDTH, heads=HEADS, layers=LAYERS
        ),
        quick_gelu=True,
    )
    # Norms start as the identity and biases as 0: a mistake in them would not show.
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval()


def last_hidden_states(model, tokens):
    """The text tower of CLIP written out, for one text without padding: [length, width]."""
    weights = model.state_dict()
    x = weights["token_embedding.weight"][tokens] + weights["positional_embedding"][: len(tokens)]

    def norm(x, name):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x, name, suffix="."):
        return x @ weights[f"{name}{suffix}weight"].T + weights[f"{name}{suffix}bias"]

    later = torch.triu(torch.ones(len(tokens), len(tokens), dtype=torch.bool), 1)
    for layer in range(LAYERS):
        block = f"transformer.resblocks.{layer}"
        mixed = linear(norm(x, f"{block}.ln_1"), f"{block}.attn", ".in_proj_")
        query, key, value = (
            part.reshape(len(tokens), HEADS, -1).transpose(0, 1) for part in mixed.chunk(3, -1)
        )
        attention = query @ key.transpose(1, 2) / (WIDTH // HEADS) ** 0.5
        attention = attention.masked_fill(later, -torch.inf).softmax(-1)
        attended = (attention @ value).transpose(0, 1).reshape(len(tokens), WIDTH)
        x = x + linear(attended, f"{block}.attn.out_proj")
        hidden = linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc")
        hidden = hidden * torch.sigmoid(1.702 * hidden)
        x = x + linear(hidden, f"{block}.mlp.c_proj")
    return norm(x, "ln_final")


def expected(model, tokenizer, text):
    ids = [tokenizer.sot_token_id, *tokenizer.encode(text)][: CONTEXT - 1]
    return last_hidden_states(model, [*ids, tokenizer.eot_token_id]).mean(0).numpy()


def test_mean_of_the_last_hidden_states_up_to_the_end_token(tiny_clip, tokenizer):
    vectors = encoders.encode_clip(tiny_clip, tokenizer, TEXTS)
    assert vectors.shape == (len(TEXTS), WIDTH) and vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, expected(tiny_clip, tokenizer, text), atol=2e-5)


def test_a_text_longer_than_the_context_is_cut(tiny_clip, tokenizer):
    assert len(tokenizer.encode(TEXTS[2])) > CONTEXT
    longer = TEXTS[2] + " Words after the cut change nothing."
    vectors = encoders.encode_clip(tiny_clip, tokenizer, [TEXTS[2], longer])
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_both_layouts_of_open_clip_give_the_same(open_clip, tiny_clip, tokenizer):
    """``CLIP`` is its own text tower, ``CustomTextCLIP`` holds it as ``text``."""
    custom = open_clip.model.CustomTextCLIP(
        embed_dim=8,
        vision_cfg=dict(image_size=16, patch_size=16, width=16, head_width=8, layers=1),
        text_cfg=dict(
            context_length=CONTEXT, vocab_size=49408, width=WIDTH, heads=HEADS, layers=LAYERS
        ),
        quick_gelu=True,
    )
    state = open_clip.model.convert_to_custom_text_state_dict(tiny_clip.state_dict())
    custom.load_state_dict(state)
    np.testing.assert_array_equal(
        encoders.encode_clip(custom.eval(), tokenizer, TEXTS),
        encoders.encode_clip(tiny_clip, tokenizer, TEXTS),
    )


def test_a_vector_depends_on_its_own_text_alone(tiny_clip, tokenizer):
    together = encoders.encode_clip(tiny_clip, tokenizer, TEXTS)
    alone = [encoders.encode_clip(tiny_clip, tokenizer, [text])[0] for text in TEXTS]
    np.testing.assert_array_equal(together, alone)


def test_the_paper_s_model_is_the_one_with_quick_gelu(open_clip):
    architecture, weights = encoders.CLIP
    config = open_clip.get_model_config(architecture)
    assert config["quick_gelu"] is True
    assert config["text_cfg"]["width"] == encoders.encoder_dim("clip")
    assert config["text_cfg"]["context_length"] == 77
    assert weights in open_clip.list_pretrained_tags_by_model(architecture)


def test_random_weights_never_pass_for_the_paper_s(monkeypatch):
    asked = {}

    def create_model(name, **settings):
        asked.update(settings, name=name)
        return torch.nn.Identity()

    fake = types.ModuleType("open_clip")
    fake.create_model, fake.get_tokenizer = create_model, lambda name: name
    monkeypatch.setitem(sys.modules, "open_clip", fake)
    encoders.load_clip()
    assert asked == {
        "name": "ViT-B-32-quickgelu",
        "pretrained": "openai",
        "require_pretrained": True,
        "device": "cpu",
    }


def test_encoders_and_optimizers_load_after_a_frame_was_drawn(open_clip):
    # Mesa's software renderer and triton each bring an LLVM.
    script = (
        "import gymnasium as gym, mmbench\n"
        "from mmbench.language import encoders\n"
        "env = gym.make('mmbench/walker-walk-v0', render_mode='rgb_array')\n"
        "env.reset(seed=0)\n"
        "print(env.render().shape)\n"
        "import torch\n"
        "torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])\n"
        "encoders._require('clip', 'open_clip')\n"
        "print('loaded')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    if "RendererUnavailableError" in result.stderr:
        pytest.skip("this machine cannot draw MuJoCo scenes")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["(224, 224, 3)", "loaded"]
