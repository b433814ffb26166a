"""People at work on the site, through nginx: curl, because the document uses it too."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

ADDRESS = "https://studio.example.org"
PASSWORD = "quarterly-report-27"
NUM_DOCUMENTS = 400


class Site:
    """One person's browser."""

    def __init__(self, jar: Path, environment: dict[str, str]) -> None:
        self._jar = jar
        self._environment = environment

    def get(self, path: str) -> str:
        """A page that must be there."""
        return self._curl(path, "--location")

    def post(self, path: str, **fields: str) -> str:
        """The page that a form leads to; a file is given as `@path`.

        Raises:
            RuntimeError: the site answered with an error.
        """
        page = self._curl(path)
        return self._send(path, page, fields)

    def upload(self, file: Path, *, kind: str, name: str) -> None:
        """The file is a version of the data set: sent, looked at, checked and kept.

        Raises:
            RuntimeError: the site answered with an error, or was not done in a minute.
        """
        page = self.post("/p/reports/datasets/upload/", file=f"@{file}", kind=kind, name=name)
        preview = self._follow(page, r"/p/reports/datasets/previews/\d+/", 'id="reading"')
        page = self.post(preview, kind=kind, dataset_name=name, action="check")
        report = self._follow(page, r"/p/reports/datasets/imports/\d+/", "/commit/")
        self._send(f"{report}commit/", self.get(report), {})

    def _follow(self, page: str, address: str, sign: str) -> str:
        """The address, which `page` names, once the page there shows `sign`."""
        found = re.search(address, page)
        if found is None:
            raise RuntimeError(f"no {address} on:\n{page}")
        for _second in range(60):
            if sign in self.get(found[0]):
                return found[0]
            time.sleep(1)
        raise RuntimeError(f"{found[0]} does not show {sign}")

    def _send(self, path: str, page: str, fields: Mapping[str, str]) -> str:
        """The page that `path` leads to when the form of `page` is sent there."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        if found is None:
            raise RuntimeError(f"{path} has no form:\n{page}")
        form = [f"csrfmiddlewaretoken={found[1]}", *(f"{k}={v}" for k, v in fields.items())]
        options = [option for field in form for option in ("--form", field)]
        return self._curl(path, "--location", "--referer", f"{ADDRESS}{path}", *options)

    def sign_in(self, username: str, password: str = PASSWORD) -> None:
        """The browser has a session of this person, and forgot the one before."""
        self._jar.unlink(missing_ok=True)
        page = self.post("/sign-in/", username=username, password=password)
        if 'name="password"' in page:
            raise RuntimeError(f"{username} could not sign in:\n{page}")

    def _curl(self, path: str, *options: str) -> str:
        result = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60",
             "--cookie", str(self._jar), "--cookie-jar", str(self._jar),
             "--header", "Accept-Language: en", *options, ADDRESS + path],
            env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode != 0:
            raise RuntimeError(f"{path}: {result.stderr}\n{result.stdout[-2000:]}")
        return result.stdout


def write_corpus(path: Path, *, first: int = 0) -> Path:
    """Documents that are others for another `first`."""
    rows = (
        {
            "id": f"document-{number}",
            "text": f"Group {number} reports revenue of {number * 37 % 101} million. " * 4,
            "lang": "en",
        }
        for number in range(first, first + NUM_DOCUMENTS)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Load:
    """Uploads one after the other until it is stopped; knows when each was acknowledged."""

    def __init__(self, site: Site, directory: Path) -> None:
        self._site, self._directory = site, directory
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: list[tuple[float, str]] = []
        self.error: Exception | None = None

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stopped.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        number = 0
        try:
            while not self._stopped.wait(1):
                number += 1
                name = f"load-{number}"
                path = write_corpus(self._directory / f"{name}.jsonl", first=number * 1000)
                self._site.upload(path, kind="corpus", name=name)
                self.acknowledged.append((time.monotonic(), name))
        except RuntimeError as exc:
            self.error = exc
