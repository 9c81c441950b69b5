"""One update: what learns, how fast, the same in one process and in two, and nothing at all where it goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from gliner_cli.errors import OutputError, TrainingError
from gliner_cli.network.dropout import Dropout, dropout
from gliner_cli.options import Learning
from gliner_cli.training import loop, state
from gliner_cli.training.freezing import freeze, learning_parameters
from gliner_cli.training.loop import parameter_groups, rate_factor
from gliner_cli.training.losses import Loss
from gliner_cli.training.state import Course
from tests import tiny
from tests.training import apart, toys

TEXTS = toys.invented(12)


def weights(learner) -> dict[str, torch.Tensor]:
    return state.weights(learner.network)


def changed(before, after) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


# --- All kinds ------------------------------------------------------------------------------------------------------

# Weights that are in the published files and have no part in the scores.
UNUSED = {"markerV1": {"head.spans.project_first"}}


@pytest.mark.parametrize("labels", ["prompt", "encoder"])
@pytest.mark.parametrize("mode", ["markerV0", "marker", "markerV1", "token_level"])
def test_all_kinds_learn_with_all_their_weights(tmp_path, mode, labels):
    fields = {"labels_encoder": "x", "num_rnn_layers": 0} if labels == "encoder" else {"num_rnn_layers": 1}
    of = toys.checkpoint(tiny.checkpoint_folder(tmp_path, span_mode=mode, **fields))
    learner = toys.learner(of, warmup=0.0, encoder_rate=1e-3, head_rate=1e-3, weight_decay=0.0, schedule="constant")
    before = weights(learner)
    lessons = toys.lessons(of, TEXTS)
    steps = [learner.learn(lessons) for _ in range(4)]
    assert steps[-1].loss < 0.9 * steps[0].loss
    same = {name.rsplit(".", 2)[0] for name in before.keys() - changed(before, weights(learner))}
    assert {name for name in same if "word_embeddings" not in name} == UNUSED.get(mode, set())


@pytest.mark.parametrize("kind", ["folder", "bi_folder"])
def test_what_is_rehearsed_is_answered_as_before(request, kind):
    folder = request.getfixturevalue(kind)
    of, before = (toys.without_dropout(toys.checkpoint(folder)) for _ in range(2))
    learner = toys.learner(of, warmup=0.0, schedule="constant", before=before.network.eval())
    new, old = toys.lessons(of, TEXTS), toys.lessons(of, TEXTS, rehearsed=True)
    assert learner._gradients(old)[0] > 0  # of a probability that is neither 0 nor 1 there is always some loss
    assert max(float(one.grad.abs().max()) for one in of.network.parameters() if one.grad is not None) < 1e-5
    apart_from_before = [learner.learn(new).gradient, learner.learn(old).gradient]
    assert min(apart_from_before) > 1e-3

    def distance() -> float:
        with torch.no_grad():
            pairs = [(one(learner._batch(lesson, one)), two(learner._batch(lesson, two))) for lesson in new]
        return max(float((a.sigmoid() - b.sigmoid()).abs().max()) for a, b in pairs)

    one, two = of.network.eval(), before.network
    far = distance()
    for _ in range(6):
        learner.learn(old)
    of.network.eval()
    assert distance() < far


# --- Several processes ----------------------------------------------------------------------------------------------


def in_two(folder, out, **options) -> list[dict]:
    out.mkdir()
    port = apart.free_port()
    both = [apart.started(apart.one_of_several, rank, 2, port, folder, out, options) for rank in (0, 1)]
    assert [apart.ended(one) for one in both] == [0, 0]
    return [torch.load(out / f"{rank}.pt") for rank in (0, 1)]


def test_two_processes_do_what_one_does(tmp_path, folder):
    """Dropout and all; one of the steps has fewer lessons than there are processes."""
    options = {"steps": 6, "micro_tokens": 300, "batch": 5}
    alone = apart.course_of(folder, tmp_path / "one", options)
    first, second = in_two(folder, tmp_path / "two", **options)
    assert first["losses"] == second["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert first["scores"] == second["scores"] == pytest.approx(alone["scores"])
    assert toys.equal(first["weights"], second["weights"])
    for name, value in alone["weights"].items():
        torch.testing.assert_close(first["weights"][name], value, atol=1e-4, rtol=1e-4, msg=name)


def test_two_processes_with_a_time_limit_agree(tmp_path, folder):
    first, second = in_two(folder, tmp_path / "two", steps=10**6, minutes=1e-2, events=4)
    assert toys.equal(first["weights"], second["weights"])


def test_processes_share_everything_and_each_thing_once():
    shares = [loop.Processes(rank, 3).share(range(8)) for rank in range(3)]
    assert sorted(one for share in shares for one in share) == list(range(8))
    alone = loop.Processes()
    assert (alone.first, alone.share([1, 2]), alone.sum([1, 2.5])) == (True, [1, 2], [1, 2.5])


# --- One update -----------------------------------------------------------------------------------------------------


def test_the_loss_is_the_mean_of_a_candidate(checkpoint):
    learner = toys.learner(toys.without_dropout(checkpoint), positive_weight=3.0, focus=1.0)
    lessons = toys.lessons(checkpoint, TEXTS)
    total, cells = 0.0, 0
    with torch.no_grad():
        for one in lessons:
            logits = learner.network(one.batch)
            counted = learner.network.head.answerable(logits, one.asked)
            total += float(Loss(3.0, 1.0)(logits, learner.network.head.targets(one.gold, logits), counted))
            cells += int(counted.sum())
    step = learner.learn(lessons)
    assert step.loss == pytest.approx(total / cells, rel=1e-5)
    assert step.pieces == sum(one.pieces for one in lessons)


def test_however_a_batch_is_cut_the_update_is_the_same(folder):
    after = []
    for most in (1, 200, 10_000):
        of = toys.without_dropout(toys.checkpoint(folder))
        learner = toys.learner(of, warmup=0.0, clip=0.0)
        steps = [learner.learn(toys.lessons(of, TEXTS, n, most)) for n in range(2)]
        after.append([steps[0].gradient, steps[1].loss])
    assert after[0] == pytest.approx(after[1], rel=1e-4)
    assert after[0] == pytest.approx(after[2], rel=1e-4)


def test_chance_in_a_lesson_does_not_depend_on_what_was_before(folder):
    steps = []
    for earlier in (0, 1000):
        of = toys.checkpoint(folder)
        learner, lessons = toys.learner(of), toys.lessons(of, TEXTS)
        torch.rand(earlier)
        steps.append((learner.learn(lessons).loss, weights(learner)))
    assert steps[0][0] == steps[1][0]
    assert toys.equal(steps[0][1], steps[1][1])


def test_a_gradient_is_cut_to_its_longest(folder):
    norms = {}
    for clip in (0.0, 0.01, 1e9):
        of = toys.without_dropout(toys.checkpoint(folder))
        learner = toys.learner(of, clip=clip)
        kept = []
        learner.optimizer.register_step_pre_hook(
            lambda optimizer, *_, kept=kept: kept.extend(
                p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None
            )
        )
        norms[clip] = learner.learn(toys.lessons(of, TEXTS)).gradient, float(torch.nn.utils.get_total_norm(kept))
    reported = norms[0.0][0]
    assert [one for one, _ in norms.values()] == pytest.approx([reported] * 3)
    assert [one for _, one in norms.values()] == pytest.approx([reported, 0.01, reported], rel=1e-3)


@pytest.mark.parametrize("what", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_no_number_changes_nothing(checkpoint, what, where):
    learner = toys.learner(checkpoint, clip=0.0)
    lessons = toys.lessons(checkpoint, TEXTS)
    learner.learn(lessons)
    before, moments = weights(learner), [v["exp_avg"].clone() for v in learner.optimizer.state_dict()["state"].values()]
    if where == "loss":
        learner.loss = lambda *cells: Loss()(*cells) * what
    else:
        learner.network.head.label_projection[0].weight.register_hook(lambda gradient: gradient * what)
    with pytest.raises(TrainingError, match="step 1"):
        learner.learn(lessons)
    assert toys.equal(before, weights(learner))
    assert all(
        torch.equal(a, b["exp_avg"])
        for a, b in zip(moments, learner.optimizer.state_dict()["state"].values(), strict=True)
    )
    assert learner.step == 1
    assert all(parameter.grad is None for parameter in learner.network.parameters())


def test_bf16_is_nearly_fp32(folder):
    losses = []
    for number_format in ("fp32", "bf16"):
        of = toys.without_dropout(toys.checkpoint(folder))
        losses.append(toys.learner(of, number_format=number_format).learn(toys.lessons(of, TEXTS)).loss)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@pytest.mark.parametrize("backbone", ["deberta-v2", "bert", pytest.param("electra", marks=pytest.mark.slow)])
def test_gradient_checkpointing_gives_the_same_update(tmp_path, backbone):
    """With dropout: what is computed again is dropped again."""
    folder = tiny.checkpoint_folder(tmp_path, backbone, num_rnn_layers=0)
    after, passes = [], []
    for again in (False, True):
        of = toys.checkpoint(folder)
        if again:
            of.network.encoder.save_memory()
        learner = toys.learner(of, warmup=0.0)
        calls: list[int] = []
        layers = next(part for part in of.network.modules() if isinstance(part, torch.nn.ModuleList))
        layers[0].register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        lessons = toys.lessons(of, TEXTS)
        losses = [learner.learn(lessons).loss for _ in range(2)]
        after.append((losses, weights(learner)))
        passes.append(len(calls))
    assert passes[1] == 2 * passes[0]
    assert after[0][0] == after[1][0]
    assert toys.equal(after[0][1], after[1][1])


# --- How fast, and what ---------------------------------------------------------------------------------------------

SHARES = [n / 100 for n in range(101)]
FALLING: dict[str, Callable[[float], float]] = {
    "cosine": lambda left: (1 + math.cos(math.pi * (1 - left))) / 2,
    "linear": lambda left: left,
    "constant": lambda left: 1.0,
}


@pytest.mark.parametrize("schedule", FALLING)
@pytest.mark.parametrize("warmup", [0.0, 0.1, 1.0])
def test_rates_rise_in_a_line_and_fall_as_ordered(schedule, warmup):
    for share in SHARES[1:]:
        left = (1 - share) / (1 - warmup) if warmup < 1 else 0.0
        expected = share / warmup if share < warmup else FALLING[schedule](left)
        assert rate_factor(share, warmup, schedule) == pytest.approx(expected, abs=1e-9)
    assert 0 < rate_factor(0.0, 0.1, schedule) <= 0.01
    assert rate_factor(1.5, warmup, schedule) == pytest.approx(FALLING[schedule](0.0), abs=1e-9)


def test_the_encoder_and_all_else_have_rates_of_their_own(checkpoint):
    learner = toys.learner(checkpoint, steps=4, encoder_rate=1e-4, head_rate=5e-4, warmup=0.5, schedule="linear")
    lessons = toys.lessons(checkpoint, TEXTS)
    for factor in (0.002, 0.5, 1.0, 0.5):
        step = learner.learn(lessons)
        assert step.rate == pytest.approx(5e-4 * factor)
        assert sorted({g["lr"] for g in learner.optimizer.param_groups}) == pytest.approx([1e-4 * factor, step.rate])


@pytest.mark.parametrize("kind", ["folder", "bi_folder"])
def test_the_groups_are_all_that_learns_each_once(request, kind):
    network = toys.checkpoint(request.getfixturevalue(kind)).network
    groups = parameter_groups(network, Learning(encoder_rate=1.0, head_rate=2.0, weight_decay=0.1))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    rows = [(names[id(p)], g["full"], g["weight_decay"]) for g in groups for p in g["params"]]
    assert sorted(name for name, _, _ in rows) == sorted(names.values())
    for name, rate, decay in rows:
        assert rate == (1.0 if name.startswith(("encoder.backbone.", "labels.encoder.text.backbone.")) else 2.0)
        assert decay == (0.0 if name.endswith("bias") or "norm" in name.lower() else 0.1)


def test_only_matrices_decay(checkpoint):
    learner = toys.learner(checkpoint, weight_decay=0.5, warmup=0.0, encoder_rate=0.1, head_rate=0.2)
    learner.loss = lambda *cells: Loss()(*cells) * 0.0
    before = weights(learner)
    learner.learn(toys.lessons(checkpoint, TEXTS))
    after = weights(learner)
    for name, value in before.items():
        left = 1.0 if value.dim() < 2 else 1 - 0.5 * (0.1 if "backbone" in name else 0.2)
        torch.testing.assert_close(after[name], value * left, msg=name)


FROZEN = {
    "encoder": ["encoder.backbone."],
    "embeddings": ["encoder.backbone.embeddings.word_embeddings."],
    "layers:1": ["encoder.backbone.embeddings.word_embeddings.", "encoder.backbone.encoder.layer.0."],
    "layers:0": ["encoder.backbone.embeddings.word_embeddings."],
    "layers:9": ["encoder.backbone.embeddings.word_embeddings.", "encoder.backbone.encoder.layer."],
}


@pytest.mark.parametrize("what", FROZEN)
def test_what_is_frozen_stays_and_all_else_learns(checkpoint, what):
    network = checkpoint.network
    freeze(network, what)
    expected = {name for name, _ in network.named_parameters() if name.startswith(tuple(FROZEN[what]))}
    assert {name for name, parameter in network.named_parameters() if not parameter.requires_grad} == expected
    learner = toys.learner(checkpoint, warmup=0.0)
    before = weights(learner)
    learner.learn(toys.lessons(checkpoint, TEXTS))
    assert before.keys() - changed(before, weights(learner)) == expected
    sizes = [parameter.numel() for parameter in network.parameters()]
    assert learning_parameters(network) == (sum(sizes) - sum(before[name].numel() for name in expected), sum(sizes))


@pytest.mark.parametrize("what", ["head", "layers", "layers:", "layers:x", "layers:-1", ""])
def test_what_cannot_be_frozen_is_refused(checkpoint, what):
    with pytest.raises(TrainingError, match="layers:N"):
        freeze(checkpoint.network, what)


@pytest.mark.slow  # most are transformers', which takes its time to import
@pytest.mark.parametrize("backbone", tiny.BACKBONES)
def test_every_backbone_has_embeddings_and_layers_to_freeze(tmp_path, backbone):
    network = toys.checkpoint(tiny.checkpoint_folder(tmp_path, backbone, num_rnn_layers=0)).network
    learning = []
    for what in (None, "embeddings", "layers:1", "layers:2", "encoder"):
        network.requires_grad_(True)
        freeze(network, what)
        learning.append(learning_parameters(network)[0])
    assert learning == sorted(learning, reverse=True), "each freezes more than the one before"
    assert len(set(learning)) == (4 if backbone == "albert" else 5), "Albert's layers are one"


# --- Dropout --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    torch.manual_seed(0)
    x = torch.ones(100_003, requires_grad=True)
    kept = dropout(x, rate, True)
    share = round(256 * rate) / 256
    assert float((kept == 0).float().mean()) == pytest.approx(share, abs=0.005)
    assert sorted(set(kept.tolist())) == pytest.approx([0.0, 1 / (1 - share)])
    kept.sum().backward()
    assert torch.equal(x.grad, kept.detach())
    torch.manual_seed(0)
    assert torch.equal(dropout(x, rate, True), kept)
    assert not torch.equal(dropout(x, rate, True), kept)


def test_nothing_is_dropped_where_nothing_learns():
    x = torch.randn(3, 5)
    assert dropout(x, 0.5, False) is x
    assert dropout(x, 0.0, True) is x
    assert Dropout(0.5).eval()(x) is x
    assert dropout(x.bfloat16(), 0.5, True).dtype == torch.bfloat16


# --- The state ------------------------------------------------------------------------------------------------------


def test_a_learner_goes_on_from_its_state(tmp_path, folder):
    of = toys.checkpoint(folder)
    learner, lessons = toys.learner(of), toys.lessons(of, TEXTS)
    for _ in range(2):
        learner.learn(lessons)
    best = {"x": torch.tensor([1.0, 2.0])}
    course = Course(step=2, elapsed=1.5, micro_tokens=7, scores={0: 0.1, 2: 0.3}, best=2)
    path = state.save(tmp_path, learner, best, course)
    losses = [learner.learn(lessons).loss for _ in range(2)]
    other = toys.learner(toys.checkpoint(folder))
    assert state.newest(tmp_path) == path
    loaded, loaded_best = state.load(path, other)
    assert (loaded, loaded_best.keys()) == (course, best.keys())
    assert torch.equal(loaded_best["x"], best["x"])
    assert (other.step, other.elapsed) == (2, 1.5)
    assert [other.learn(lessons).loss for _ in range(2)] == losses
    assert toys.equal(weights(learner), weights(other))


def test_the_newest_state_replaces_the_others(tmp_path, checkpoint):
    learner = toys.learner(checkpoint)
    for step in (9, 10, 100):
        state.save(tmp_path, learner, {}, Course(step=step))
    assert [path.name for path in tmp_path.iterdir()] == ["state-0000100.safetensors"]


@pytest.mark.parametrize("fails", ["gliner_cli.training.state.save_file", "gliner_cli.training.state.os.replace"])
def test_where_no_room_is_the_state_before_stays(tmp_path, checkpoint, monkeypatch, fails):
    learner = toys.learner(checkpoint)
    before = state.save(tmp_path, learner, {}, Course(step=1)).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fails, full)
    with pytest.raises(OutputError, match=r"step 2.*No space left"):
        state.save(tmp_path, learner, {}, Course(step=2))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_a_torn_state_is_said_to_be_one(tmp_path, checkpoint):
    learner = toys.learner(checkpoint)
    path = state.save(tmp_path, learner, {}, Course(step=1))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="is no state of a run"):
        state.load(path, learner)
    assert state.newest(tmp_path / "nothing") is None
