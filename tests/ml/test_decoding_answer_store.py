"""Stored answers say what a reader who compares every place with every other would say."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.decoding_spec import StoreArm
from pipeline.contracts.references import InstructionRef, TeacherCacheRef
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.proposers.store import StoreProposer, open_store
from pipeline.distillation.cache import (
    TeacherCacheKey,
    TeacherPrompt,
    open_teacher_cache,
    prompts_digest,
    tokenizer_digest,
)
from pipeline.distillation.cache_writer import write_teacher_cache
from pipeline.errors import ModelError
from pipeline.execution import RunContext
from pipeline.modeling.loading import load_model
from pipeline.modeling.tiny import save_tiny_model, tiny_llama, tiny_tokenizer


def brute_force(answers, sequence, num_tokens, min_match):
    """The definition, place by place."""

    def followers(end):
        """(next token, how late it stands) for every place at which `end` stands."""
        found = []
        for index, answer in enumerate(answers):
            for place in range(len(answer) - len(end)):
                if list(answer[place : place + len(end)]) == end:
                    found.append((answer[place + len(end)], (index, place)))
        return found

    for length in range(len(sequence), min_match - 1, -1):
        end = list(sequence[-length:])
        if not followers(end):
            continue
        drafted = []
        while len(drafted) < num_tokens and (found := followers(end)):
            counts = Counter(token for token, _place in found)
            latest = dict(found)  # of equal tokens the last one stays
            token = max(counts, key=lambda one: (counts[one], latest[one]))
            drafted.append(token)
            end.append(token)
        return drafted
    return []


tokens = st.integers(min_value=0, max_value=3)
texts = st.lists(tokens, max_size=14)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    answers=st.lists(texts, min_size=1, max_size=5),
    sequence=texts,
    num_tokens=st.integers(1, 6),
    min_match=st.integers(1, 4),
)
def test_it_drafts_what_the_definition_says(answers, sequence, num_tokens, min_match) -> None:
    store = AnswerStore(answers, min_match=min_match)
    expected = brute_force(answers, sequence, num_tokens, min_match)
    assert list(store.continuation(sequence, num_tokens)) == expected


@settings(max_examples=50, deadline=None, derandomize=True)
@given(answers=st.lists(texts, min_size=1, max_size=4), repeats=st.integers(2, 4))
def test_long_repeats_are_found_whole(answers, repeats) -> None:
    text = [token for answer in answers for token in answer] * repeats
    store = AnswerStore([text, *answers], min_match=1)
    for end in range(1, len(text), 3):
        expected = brute_force([text, *answers], text[:end], 3, 1)
        assert list(store.continuation(text[:end], 3)) == expected


def test_the_most_frequent_continuation_wins_then_the_latest() -> None:
    store = AnswerStore([[1, 2, 9], [1, 2, 7], [1, 2, 9], [1, 2, 7], [1, 2, 5]], min_match=2)
    assert store.continuation([0, 1, 2], 4) == [7]
    assert store.continuation([1, 2, 5], 4) == []  # an answer's end is no continuation
    assert store.continuation([2, 1], 4) == []  # nothing runs from one answer into the next
    assert store.continuation([2], 4) == []  # shorter than what counts


def test_its_size_is_told() -> None:
    store = AnswerStore([[1, 2, 3], [4]], min_match=1)
    assert (store.num_answers, store.num_tokens, store.largest_token) == (2, 4, 4)
    assert store.num_bytes == 8 * (4 + 3)  # with the three ends of answers
    assert store.build_seconds > 0


@pytest.mark.parametrize(("length", "num_drafted"), [(1, 0), (2, 1), (1000, 5)])
def test_one_token_without_end_is_no_trap(length, num_drafted) -> None:
    store = AnswerStore([[7] * length], min_match=1)
    assert store.continuation([7] * 3, 5) == [7] * num_drafted


def test_answers_of_a_data_set_are_stored_in_the_targets_tokens(tmp_path) -> None:
    target = load_model(save_tiny_model(tmp_path / "model"))
    turns = [
        {"role": "user", "content": "why?"},
        {"role": "assistant", "content": "because"},
        {"role": "user", "content": "so?"},
        {"role": "assistant", "content": "yes"},
    ]
    data = tmp_path / "talk.jsonl"
    data.write_text(json.dumps({"id": "a", "lang": "en", "messages": turns}) + "\n")
    dataset = InstructionRef(kind="conversations", path=str(data))
    store = open_store(StoreArm(dataset=dataset, min_match=2), target)
    words = tiny_tokenizer()
    assert store.num_answers == 2  # questions are no answers
    assert words.decode(store.continuation(words("because").input_ids[:3], 3)) == "aus"
    assert store.continuation(words("why?").input_ids[:3], 3) == []
    # What ends a turn is worth drafting too.
    assert store.continuation(words("yes").input_ids, 3)[0] == words.convert_tokens_to_ids(
        "<|im_end|>"
    )


class Silent:
    def emit(self, payload) -> None:
        """Progress is not under test."""


@pytest.fixture
def cache(tmp_path):
    """A teacher cache of two answers, and the key it was written with."""
    prompts = [TeacherPrompt(row_id=f"r{i}", token_ids=(5, 6 + i)) for i in range(2)]
    key = TeacherCacheKey(
        target_digest="1" * 64,
        tokenizer_digest=tokenizer_digest(tiny_tokenizer()),
        template_digest="2" * 64,
        prompts_digest=prompts_digest(prompts),
        num_tokens=20,
        max_new_tokens=10,
        temperature=0.0,
        top_k_logprobs=2,
        seed=0,
    )

    def write(key):
        write_teacher_cache(
            tmp_path / "cache",
            key,
            engine=AutoregressiveEngine(tiny_llama()),
            prompts=prompts,
            stop_token_ids=(2,),
            batch_size=2,
            context=RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=Silent()),
        )
        return StoreArm(teacher_cache=TeacherCacheRef(path=str(tmp_path / "cache")))

    return key, write


def test_the_targets_own_answers_are_stored_as_they_were_written(tmp_path, cache) -> None:
    key, write = cache
    target = load_model(save_tiny_model(tmp_path / "model"))
    store = open_store(write(key), target)
    answers = [one.answer_ids.tolist() for one in open_teacher_cache(tmp_path / "cache", key)]
    assert store.num_tokens == sum(len(answer) for answer in answers)
    by_hand = AnswerStore(answers, min_match=3)
    for answer in answers:
        assert store.continuation(answer[:4], 2) == by_hand.continuation(answer[:4], 2) != []


def test_answers_in_other_tokens_are_refused(tmp_path, cache) -> None:
    key, write = cache
    target = load_model(save_tiny_model(tmp_path / "model"))
    with pytest.raises(ModelError, match="another tokenizer") as caught:
        open_store(write(key.model_copy(update={"tokenizer_digest": "3" * 64})), target)
    assert caught.value.code == "model.vocabulary_mismatch"
    with pytest.raises(ModelError, match="token 259 ") as caught:
        StoreProposer(AnswerStore([[259]], min_match=1)).check(target, 1)
    assert caught.value.code == "model.vocabulary_mismatch"
