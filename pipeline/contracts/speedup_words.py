"""Whether an arm pays, and what would have to change, in words: said once.

The terminal (`python -m pipeline probe`), the demonstration's report and the platform's page show
these. A speedup pays where its whole interval lies above 1.
"""

from typing import Literal

from pipeline.contracts.claims import Words
from pipeline.contracts.decoding_results import Prediction
from pipeline.contracts.estimates import Estimate

Verdict = Literal["pays", "does_not_pay", "undecided"]

VERDICTS: dict[Verdict, Words] = {
    "pays": Words(en="pays", zh="划算"),
    "does_not_pay": Words(en="does not pay", zh="不划算"),
    "undecided": Words(en="undecided", zh="未定"),
}
REASONS: dict[Verdict, Words] = {
    "pays": Words(en="the whole interval lies above 1", zh="整个区间高于 1"),
    "does_not_pay": Words(en="the whole interval lies below 1", zh="整个区间低于 1"),
    "undecided": Words(
        en="the interval holds 1; more prompts narrow it", zh="区间包含 1；增加提示可使区间变窄"
    ),
}


def measured_verdict(speedup: Estimate) -> Verdict:
    """What the interval of a measured speedup decides; nothing without an interval."""
    low, high = speedup.low, speedup.high
    if low is not None and low > 1.0:
        return "pays"
    return "does_not_pay" if high is not None and high < 1.0 else "undecided"


def change_words(prediction: Prediction, c: float) -> Words | None:
    """What a predicted verdict hangs on; None where the arm pays.

    Each change is alone, all else being equal, and leaves the arm as fast as plain decoding: what
    is to be reached where rounds cost more than they bring, else what is not to be fallen behind.

    Args:
        prediction: of an arm.
        c: what a draft step costs now, in plain steps.
    """
    if prediction.verdict == "pays":
        return None
    tokens, cost = prediction.tokens_per_round, prediction.round_cost
    changes = [
        Words(
            en=f"{cost:.2f} tokens a round instead of {tokens:.2f}",
            zh=f"每轮 {cost:.2f} 个词元（现为 {tokens:.2f}）",
        ),
        Words(
            en=f"rounds of {tokens:.2f} plain steps instead of {cost:.2f}",
            zh=f"每轮成本 {tokens:.2f} 个普通步（现为 {cost:.2f}）",
        ),
    ]
    for symbol, now, needed in (
        ("c", c, prediction.needed_c),
        ("v", prediction.mean_v, prediction.needed_v),
    ):
        if needed is not None:
            changes.append(
                Words(
                    en=f"{symbol} of {needed:.3f} instead of {now:.3f}",
                    zh=f"{symbol} 为 {needed:.3f}（现为 {now:.3f}）",
                )
            )
    en, zh = ", ".join(one.en for one in changes), "、".join(one.zh for one in changes)
    if tokens < cost:
        return Words(
            en=f"as fast as plain decoding with one of: {en}", zh=f"满足其一即与普通解码同速：{zh}"
        )
    return Words(
        en=f"no faster than plain decoding with one of: {en}",
        zh=f"出现其一即不再快于普通解码：{zh}",
    )
