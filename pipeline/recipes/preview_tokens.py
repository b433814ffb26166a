"""Show what training would make of a few rows: tokens, which of them are trained, where it cuts.

The functions are those of the training (`pipeline.data.tokenize`, `pipeline.data.packing`), so what
is shown is what is trained. transformers is loaded for the tokenizer, no model.

Results: `contracts.token_preview.PreviewTokensResults`. Output: `tokens` (tokens.parquet), one row
for each row of the data.
"""

import itertools
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from pipeline.contracts.token_preview import PreviewTokensResults, PreviewTokensSpec
from pipeline.data.records import Record
from pipeline.data.stored_rows import checked_version, stored_rows
from pipeline.data.token_pieces import token_pieces
from pipeline.data.token_preview import PreviewedRow, is_trained, preview_row
from pipeline.data.tokenize import TokenizedRow
from pipeline.data.version_files import storable
from pipeline.durable import new_file
from pipeline.errors import DataError
from pipeline.execution import RecipeResult, RunContext
from pipeline.modeling.loading import load_tokenizer
from pipeline.provenance import checked_model

_PIECE = pa.struct(
    [
        ("text", pa.string()),
        ("num_tokens", pa.int32()),
        ("is_trained", pa.bool_()),
        ("is_special", pa.bool_()),
    ]
)
TOKENS_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("parts", pa.list_(pa.list_(_PIECE))),
        ("lost", pa.list_(_PIECE)),
        ("num_tokens", pa.int64()),
        ("num_trained_tokens", pa.int64()),
        ("num_lost_tokens", pa.int64()),
        ("error", pa.string()),
    ]
)
"""`parts` are the pieces that training sees, one for a conversation, several for a long document;
`lost` is what it cuts off; `error` says why the row would stop the training."""
MAX_SHOWN_TOKENS = 4_096
"""Of a row; of a longer one the beginning is shown, and its numbers are those of all of it."""


def run(spec: PreviewTokensSpec, context: RunContext) -> RecipeResult:
    """The tokens of the rows are written.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch` for the version; `data.empty` for a
            start beyond its end.
        ModelError: as `load_tokenizer` and `tokenize_conversations`.
    """
    model, model_digest = checked_model(spec.model)
    digests = {"model": model_digest, "dataset": checked_version(spec.dataset)}
    tokenizer = load_tokenizer(model)
    rows: list[tuple[int, Record, PreviewedRow]] = [
        (index, record, preview_row(record, tokenizer, spec.max_seq_length))
        for index, record in itertools.islice(
            enumerate(stored_rows(spec.dataset)), spec.start, spec.start + spec.num_rows
        )
    ]
    if not rows:
        raise DataError("data.empty", f"the version has no row {spec.start}; start earlier")
    path = context.run_dir / "tokens.parquet"
    with new_file(path) as partial:
        table = pa.Table.from_pylist(
            [_stored(index, record, row, tokenizer) for index, record, row in rows],
            schema=TOKENS_SCHEMA,
        )
        pq.write_table(table, partial, compression="zstd", row_group_size=1)
    previews = [row for _index, _record, row in rows]
    return RecipeResult(
        results=PreviewTokensResults(
            num_rows=len(previews),
            num_tokens=sum(row.num_tokens for row in previews),
            num_trained_tokens=sum(row.num_trained_tokens for row in previews),
            num_cut_rows=sum(row.is_cut for row in previews),
            num_lost_tokens=sum(row.num_lost_tokens for row in previews),
            num_unusable_rows=sum(bool(row.error) for row in previews),
            has_chat_template=tokenizer.chat_template is not None,
        ),
        outputs={"tokens": path},
        inputs=digests,
    )


def _stored(
    index: int, record: Record, row: PreviewedRow, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    shown = MAX_SHOWN_TOKENS
    parts = []
    for part in row.parts:
        parts.append(_pieces(part, tokenizer, is_trained(part), shown))
        shown = max(shown - len(part.input_ids), 0)
    lost = []
    if row.lost is not None:
        nothing = np.zeros(len(row.lost.input_ids), dtype=bool)
        lost = _pieces(row.lost, tokenizer, nothing, shown)
    return {
        "row": index,
        "id": storable(record.id),
        "parts": parts,
        "lost": lost,
        "num_tokens": row.num_tokens,
        "num_trained_tokens": row.num_trained_tokens,
        "num_lost_tokens": row.num_lost_tokens,
        "error": row.error,
    }


def _pieces(
    row: TokenizedRow, tokenizer: PreTrainedTokenizerBase, trained: np.ndarray, most: int
) -> list[dict[str, Any]]:
    return [
        {**asdict(piece), "text": storable(piece.text)}
        for piece in token_pieces(row.input_ids[:most].tolist(), trained[:most].tolist(), tokenizer)
    ]
