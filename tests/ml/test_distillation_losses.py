"""The chunked distillation loss against dense references, in float64."""

import numpy as np
import pytest
import torch

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


def dense_reference(
    logits_NV: torch.Tensor, targets: TeacherTargets, kl_weight: float
) -> torch.Tensor:
    """The definition in the module's docstring, written with plain differentiable operations."""
    total = logits_NV.new_zeros(())
    for n in range(len(logits_NV)):
        q = logits_NV[n].softmax(-1)
        inside = targets.topk_ids[n]
        outside = torch.ones(V, dtype=torch.bool)
        outside[inside] = False
        p, r = targets.probs[n], targets.tail[n]
        kl = (p * (p.log() - q[inside].log())).sum()
        if outside.any() and r > 0:
            kl = kl + r * (r.log() - q[outside].sum().log())
        total = total + kl_weight * kl - (1 - kl_weight) * q[inside[0]].log()
    return total


@pytest.mark.parametrize("chunk_tokens", [1, 3, 64])
@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("k", [1, K, V])
def test_loss_and_gradients_equal_the_dense_reference(
    k: int, kl_weight: float, chunk_tokens: int
) -> None:
    hidden, weight, probs = random_problem()
    targets = top_k_targets(probs, k)
    loss = linear_distillation(
        hidden, weight, targets, kl_weight=kl_weight, chunk_tokens=chunk_tokens
    )
    gradients = torch.autograd.grad(3.0 * loss, (hidden, weight))
    expected = dense_reference(hidden @ weight.T, targets, kl_weight)
    expected_gradients = torch.autograd.grad(3.0 * expected, (hidden, weight))
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("kl_weight", [0.5, 1.0])
def test_gradcheck(kl_weight: float) -> None:
    hidden, weight, probs = random_problem(seed=1)
    targets = top_k_targets(probs, K)
    assert torch.autograd.gradcheck(
        lambda h, w: linear_distillation(h, w, targets, kl_weight=kl_weight, chunk_tokens=2),
        (hidden, weight),
    )


def test_all_tokens_kept_is_the_full_kl() -> None:
    hidden, weight, probs = random_problem()
    loss = linear_distillation(hidden, weight, top_k_targets(probs, V), kl_weight=1.0)
    log_q = (hidden @ weight.T).log_softmax(-1)
    full = torch.nn.functional.kl_div(log_q, probs, reduction="sum")
    torch.testing.assert_close(loss, full, rtol=1e-12, atol=1e-12)
    bucketed = linear_distillation(hidden, weight, top_k_targets(probs, K), kl_weight=1.0)
    assert 0 < bucketed < full


@pytest.mark.parametrize("k", [1, K, V])
def test_a_draft_equal_to_its_teacher_has_no_loss_and_no_gradient(k: int) -> None:
    hidden, weight, _ = random_problem()
    probs = (hidden @ weight.T).softmax(-1).detach()
    loss = linear_distillation(hidden, weight, top_k_targets(probs, k), kl_weight=1.0)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    for gradient in torch.autograd.grad(loss, (hidden, weight)):
        assert gradient.abs().max() < 1e-12


def test_very_sure_positions_stay_finite() -> None:
    hidden = torch.tensor([[200.0], [-200.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    targets = TeacherTargets(
        topk_ids=torch.tensor([[0], [0]]), probs=torch.tensor([[0.9], [1.0]]),
        tail=torch.tensor([0.1, 0.0]),
    )  # fmt: skip
    loss = linear_distillation(hidden, weight, targets, kl_weight=0.5)
    assert torch.isfinite(loss)
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, (hidden, weight)))


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
        linear_distillation(hidden, weight, targets, kl_weight=0.5, chunk_tokens=chunk)
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert chunk * v * 4 <= largest < 8 * chunk * v * 4 < n * v * 4
