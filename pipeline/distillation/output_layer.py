"""The rows of a draft's output layer that are trained and used.

Shape suffixes: N positions, D hidden size, V vocabulary of the model, R tokens the draft may say.
"""

import numpy as np
import torch
from transformers import PreTrainedModel


class OutputLayer:
    """A model's output layer, all of it or the rows of some tokens.

    Args:
        token_ids: the tokens the draft may say, in rising order; None for all.
    """

    def __init__(self, token_ids: np.ndarray | None = None) -> None:
        self.token_ids = None if token_ids is None else torch.from_numpy(token_ids)

    def weight(self, model: PreTrainedModel) -> torch.Tensor:
        """[R, D]; its gradient reaches the model's own weight."""
        weight_VD = model.get_output_embeddings().weight
        if self.token_ids is None:
            return weight_VD
        return weight_VD[self.token_ids.to(weight_VD.device)]

    def rows_of(self, token_ids: torch.Tensor) -> torch.Tensor:
        """The row of each token, in the shape of `token_ids`; -1 for one the draft cannot say."""
        if self.token_ids is None:
            return token_ids
        known = self.token_ids.to(token_ids.device)
        rows = torch.searchsorted(known, token_ids).clamp_max(len(known) - 1)
        return torch.where(known[rows] == token_ids, rows, -1)

    def tokens_of(self, rows: torch.Tensor) -> torch.Tensor:
        """The token of each row, in the shape of `rows`."""
        if self.token_ids is None:
            return rows
        return self.token_ids.to(rows.device)[rows]
