"""The steps of a draft's training: each label with the target's distribution beside it."""

import numpy as np

from pipeline.data.tokenize import IGNORED_LABEL
from pipeline.distillation.batches import DistillationBatches
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.losses import TeacherTargets


def random_answer(index: int, prompt: int, length: int) -> TeacherAnswer:
    generator = np.random.default_rng(index)
    return TeacherAnswer(
        row_id=f"r{index}",
        prompt_ids=generator.integers(3, 99, prompt),
        answer_ids=generator.integers(3, 99, length),
        topk_ids=np.tile([index, 100 + index], (length, 1)),
        topk_logprobs=np.log(np.tile([0.5, 0.3], (length, 1))).astype(np.float32),
        tail_mass=np.full(length, 0.2, np.float32),
        sampled_logprobs=np.zeros(length, np.float32),
    )


def test_targets_stay_beside_their_labels() -> None:
    answers = [random_answer(i, prompt=3 + i, length=5 + 2 * i) for i in range(6)]
    batches = DistillationBatches(
        answers, num_epochs=2, max_seq_length=40, rows_per_step=2, seed=1, with_targets=True
    )
    num_labels = 0
    for step in range(batches.num_steps):
        for batch in batches.micro_batches(step):
            labels = batch.packed.labels[0].numpy()
            expected = np.concatenate(
                [
                    np.full(len(answers[int(row_id[1:])].answer_ids), int(row_id[1:]))
                    for row_id in batch.row_ids
                ]
            )
            targets = batch.targets
            assert isinstance(targets, TeacherTargets)
            np.testing.assert_array_equal(targets.topk_ids[:, 0].numpy(), expected)
            kept = labels[labels != IGNORED_LABEL]
            text = np.concatenate([answers[int(r[1:])].answer_ids for r in batch.row_ids])
            np.testing.assert_array_equal(kept, text)
            assert len(labels) <= 40
            num_labels += len(kept)
    assert num_labels == batches.num_trained_tokens == 2 * sum(len(a.answer_ids) for a in answers)
