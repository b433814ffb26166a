"""The chunked distillation losses against dense references, in float64."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from pipeline.distillation.divergences import DIVERGENCES
from pipeline.distillation.losses import TeacherTargets, linear_distillation

N, D, V, K = 7, 5, 23, 4


def random_problem(k: int = K, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(hidden [N, D], weight [V, D], full target probabilities [N, V])."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(N, D, generator=generator, dtype=torch.float64)
    weight = torch.randn(V, D, generator=generator, dtype=torch.float64)
    logits = 2 * torch.randn(N, V, generator=generator, dtype=torch.float64)
    return hidden.requires_grad_(), weight.requires_grad_(), logits.softmax(-1)


def top_k_targets(probs_NV: torch.Tensor, k: int) -> TeacherTargets:
    top = probs_NV.topk(k, dim=-1)
    tail = (1.0 - top.values.sum(-1)).clamp_min(0.0)
    return TeacherTargets(topk_ids=top.indices, probs=top.values, tail=tail)


def dense_divergence(objective: str, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Of one position, from the definitions in docs/distillation.md; a bucket of 0 counts for 0."""

    def kl(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a[a > 0] * (a[a > 0] / b[a > 0]).log()).sum()

    alpha = torch.stack([torch.min(a, b) for a, b in zip(p, q, strict=True)]).sum()
    share = math.exp(-3.0 * alpha.item())
    return {
        "forward_kl": lambda: kl(p, q),
        "reverse_kl": lambda: kl(q, p.clamp_min(1e-8)),
        "jsd": lambda: 0.5 * kl(p, (p + q) / 2) + 0.5 * kl(q, (p + q) / 2),
        "tvd": lambda: 1.0 - alpha,
        "nla": lambda: -alpha.log(),
        "lk_hybrid": lambda: share * kl(p, q) + (1.0 - share) * (1.0 - alpha),
    }[objective]()


def dense_reference(
    logits_NV: torch.Tensor, targets: TeacherTargets, objective: str, weight: float
) -> torch.Tensor:
    """The definition in the module's docstring, written with plain differentiable operations."""
    total = logits_NV.new_zeros(())
    for n in range(len(logits_NV)):
        q = logits_NV[n].softmax(-1)
        said = targets.topk_ids[n] >= 0
        inside = targets.topk_ids[n][said]
        outside = torch.ones(logits_NV.shape[1], dtype=torch.bool)
        outside[inside] = False
        p, buckets = targets.probs[n][said], q[inside]
        if outside.any():
            p = torch.cat([p, targets.tail[n][None]])
            buckets = torch.cat([buckets, q[outside].sum()[None]])
        total = total + weight * dense_divergence(objective, p, buckets)
        if said[0]:
            total = total - (1 - weight) * q[inside[0]].log()
    return total


def unsay(targets: TeacherTargets, said: torch.Tensor) -> TeacherTargets:
    """The draft cannot say the kept tokens where `said` is False."""
    return TeacherTargets(
        topk_ids=targets.topk_ids.where(said, -1),
        probs=targets.probs * said,
        tail=targets.tail + (targets.probs * ~said).sum(-1),
    )


def assert_equals_the_reference(
    targets: TeacherTargets, objective: str, weight: float, chunk_tokens: int = 3
) -> None:
    hidden, weight_VD, _ = random_problem()
    loss = linear_distillation(
        hidden, weight_VD, targets, divergence=DIVERGENCES[objective], weight=weight,
        chunk_tokens=chunk_tokens,
    )  # fmt: skip
    gradients = torch.autograd.grad(3.0 * loss, (hidden, weight_VD))
    expected = dense_reference(hidden @ weight_VD.T, targets, objective, weight)
    expected_gradients = torch.autograd.grad(3.0 * expected, (hidden, weight_VD))
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("k", [1, K, V])
@pytest.mark.parametrize("objective", DIVERGENCES)
def test_loss_and_gradients_equal_the_dense_reference(
    objective: str, k: int, weight: float
) -> None:
    assert_equals_the_reference(top_k_targets(random_problem()[2], k), objective, weight)


@pytest.mark.parametrize("chunk_tokens", [1, 64])
def test_chunks_do_not_matter(chunk_tokens: int) -> None:
    targets = top_k_targets(random_problem()[2], K)
    assert_equals_the_reference(targets, "forward_kl", 0.5, chunk_tokens)


@pytest.mark.parametrize("objective", DIVERGENCES)
def test_tokens_the_draft_cannot_say_are_part_of_the_tail(objective: str) -> None:
    targets = top_k_targets(random_problem()[2], K)
    generator = torch.Generator().manual_seed(3)
    said = torch.rand((N, K), generator=generator) < 0.6
    said[0], said[1], said[2] = False, True, torch.tensor([False, True, True, True])
    assert_equals_the_reference(unsay(targets, said), objective, 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("objective", sorted(DIVERGENCES.keys() - {"lk_hybrid"}))
def test_gradcheck(objective: str) -> None:
    """Not `lk_hybrid`: what it holds constant moves when its inputs are moved."""
    hidden, weight, probs = random_problem(seed=1)
    targets = top_k_targets(probs, K)
    assert torch.autograd.gradcheck(
        lambda h, w: linear_distillation(
            h, w, targets, divergence=DIVERGENCES[objective], weight=0.7, chunk_tokens=2
        ),
        (hidden, weight),
    )


def distil(hidden, weight_VD, targets, objective="forward_kl", weight=1.0):
    return linear_distillation(
        hidden, weight_VD, targets, divergence=DIVERGENCES[objective], weight=weight
    )


def test_all_tokens_kept_is_the_full_kl() -> None:
    hidden, weight, probs = random_problem()
    loss = distil(hidden, weight, top_k_targets(probs, V))
    log_q = (hidden @ weight.T).log_softmax(-1)
    full = torch.nn.functional.kl_div(log_q, probs, reduction="sum")
    torch.testing.assert_close(loss, full, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("objective", sorted(DIVERGENCES.keys() - {"lk_hybrid"}))
def test_a_bucket_for_the_tail_never_adds_to_the_divergence(objective: str) -> None:
    """So what is reported is a lower bound. `lk_hybrid` mixes two, by a share that moves too."""
    hidden, weight, probs = random_problem()
    losses = [distil(hidden, weight, top_k_targets(probs, k), objective) for k in (1, 2, K, V)]
    assert all(0 < coarse < fine for coarse, fine in pairwise(losses))


@pytest.mark.parametrize("k", [1, K, V])
@pytest.mark.parametrize("objective", DIVERGENCES)
def test_a_draft_equal_to_its_teacher_has_no_loss_and_no_gradient(objective: str, k: int) -> None:
    hidden, weight, _ = random_problem()
    probs = (hidden @ weight.T).softmax(-1).detach()
    loss = distil(hidden, weight, top_k_targets(probs, k), objective)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    if objective in ("tvd", "nla", "lk_hybrid"):
        return  # |p - q| has a corner there
    for gradient in torch.autograd.grad(loss, (hidden, weight)):
        assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("objective", DIVERGENCES)
def test_very_sure_positions_stay_finite(objective: str) -> None:
    hidden = torch.tensor([[200.0], [-200.0], [200.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    targets = TeacherTargets(
        topk_ids=torch.tensor([[0, 2], [0, 1], [-1, -1]]),
        probs=torch.tensor([[0.9, 0.0], [1.0, 0.0], [0.0, 0.0]]),
        tail=torch.tensor([0.1, 0.0, 1.0]),
    )
    loss = distil(hidden, weight, targets, objective, weight=0.5)
    assert torch.isfinite(loss)
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, (hidden, weight)))


@pytest.mark.parametrize("temperature", [0.5, 0.7, 1.0, 1.4])
def test_targets_at_the_temperature_served(temperature: float) -> None:
    """Exact where the tail's tokens are as probable as the least kept one."""
    logits = torch.tensor([[3.0, 2.0, 0.5, 0.5, 0.5, 0.5], [4.0, 1.0, 1.0, 1.0, 1.0, 1.0]]).double()
    found = top_k_targets(logits.softmax(-1), 3).at_temperature(temperature)
    exact = top_k_targets((logits / temperature).softmax(-1), 3)
    torch.testing.assert_close(found.probs, exact.probs)
    torch.testing.assert_close(found.tail, exact.tail)


@pytest.mark.parametrize("temperature", [0.4, 0.8])
def test_below_temperature_one_the_tail_is_at_most_overstated(temperature: float) -> None:
    _, _, probs = random_problem(seed=5)
    logits = probs.log()
    found = top_k_targets(probs, K).at_temperature(temperature)
    exact = top_k_targets((logits / temperature).softmax(-1), K)
    before = top_k_targets(probs, K)
    assert (exact.tail < found.tail).all()
    assert (found.tail < before.tail).all()
    torch.testing.assert_close(found.probs.sum(-1) + found.tail, torch.ones(N).double())


def test_targets_without_a_tail_have_none_at_any_temperature() -> None:
    targets = TeacherTargets(
        topk_ids=torch.tensor([[0, 1]]), probs=torch.tensor([[1.0, 0.0]]), tail=torch.tensor([0.0])
    ).at_temperature(1.5)
    assert (targets.probs.tolist(), targets.tail.tolist()) == ([[1.0, 0.0]], [0.0])


def test_half_precision_cache_is_normalised() -> None:
    probs = np.array([[0.6123, 0.2345]], np.float32)
    rounded = np.log(probs).astype(np.float16).astype(np.float32)
    targets = TeacherTargets.from_cache(
        np.array([[3, 1]]), rounded, (1 - probs.sum(-1)).astype(np.float32)
    )
    assert (targets.probs.sum(-1) + targets.tail).item() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(targets.probs.numpy(), probs, rtol=2e-3)


@pytest.mark.slow
def test_memory_does_not_grow_with_positions() -> None:
    """Beyond the gradients themselves only one chunk of logits exists."""
    n, d, v, chunk = 4096, 4, 4096, 64
    hidden, weight = torch.randn(n, d, requires_grad=True), torch.randn(v, d, requires_grad=True)
    targets = TeacherTargets(
        topk_ids=torch.arange(2).repeat(n, 1), probs=torch.full((n, 2), 0.4),
        tail=torch.full((n,), 0.2),
    )  # fmt: skip
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        linear_distillation(
            hidden, weight, targets, divergence=DIVERGENCES["jsd"], weight=0.5, chunk_tokens=chunk
        )
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert chunk * v * 4 <= largest < 8 * chunk * v * 4 < n * v * 4
