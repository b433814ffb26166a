"""Settings of the tests: files and database in a folder that goes away with the session."""

import atexit
import os
import shutil
import tempfile

# Children that a test starts inherit the folder; only the process that made it removes it. Each
# worker of a parallel run has a folder of its own beside the one of the process that leads them.
VARIABLE = "STUDIO_TEST_DATA_DIR_" + os.environ.get("PYTEST_XDIST_WORKER", "main")
if VARIABLE not in os.environ:
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix="studio-tests-")
    atexit.register(shutil.rmtree, os.environ[VARIABLE], ignore_errors=True)
os.environ["STUDIO_DATA_DIR"] = os.environ[VARIABLE]

# ruff: noqa: E402 (settings are read after the environment is set)
from studio.settings import *  # noqa: F403
from studio.settings import DATABASES, STUDIO_DATA_DIR

# Argon2 is slow on purpose; a suite that signs in two hundred times need not be.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Every test client would look for all 170 static files before its first request.
WHITENOISE_AUTOREFRESH = True

if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # On disk, as in use: in memory, threads would share one connection and see other locks.
    DATABASES["default"]["TEST"] = {"NAME": STUDIO_DATA_DIR / "test.sqlite3"}
