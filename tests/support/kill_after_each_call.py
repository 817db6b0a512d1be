"""Run a script again and again, killed with -9 after each of its writing calls to the registry.

python kill_after_each_call.py SCRIPT ARGUMENTS ...     until it ends by itself; prints how many kills there were
"""

import os
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path

import mlflow

# What every run would import again.
import mlflow.artifacts
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store

WRITING = ("create_", "delete_", "log_", "set_")


def kill_after_new_calls(known: set[str], tell: int) -> None:
    """Replace MLflow's client by one that kills this process after the first call that is not known, and tells it."""
    calls = Counter()

    class Client(mlflow.MlflowClient):
        def __getattribute__(self, name):
            found = super().__getattribute__(name)
            if not name.startswith(WRITING):
                return found

            def call(*args, **options):
                answer = found(*args, **options)
                calls[name] += 1
                if (this := f"{name} {calls[name]}") not in known:
                    os.write(tell, this.encode())
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

            return call

    mlflow.MlflowClient = Client


def kill_after_each_call(script: str) -> int:
    """Return the exit code of the run that was not killed; each is a fork, which has MLflow imported already."""
    known, status = set(), signal.SIGKILL
    hear, tell = os.pipe()
    while status == signal.SIGKILL:
        child = os.fork()
        if child == 0:
            kill_after_new_calls(known, tell)
            runpy.run_path(script, run_name="__main__")
            sys.stdout.flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status == signal.SIGKILL:
            known.add(os.read(hear, 1000).decode())
    print(len(known), "kills", flush=True)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    sys.exit(kill_after_each_call(sys.argv[0]))
