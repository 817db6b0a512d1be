"""Run a script again and again, killed with -9 after its first writing call to the registry, its second, and so on.

python kill_after_each_call.py SCRIPT ARGUMENTS ...     until it ends by itself; prints how many kills there were
"""

import os
import runpy
import signal
import sys
from pathlib import Path

import mlflow


def count_calls(limit: int) -> None:
    """Replace MLflow's client by one that kills this process after so many calls that write."""
    calls = 0

    class Client(mlflow.MlflowClient):
        def __getattribute__(self, name):
            found = super().__getattribute__(name)
            if not name.startswith(("create_", "log_", "set_")):
                return found

            def call(*args, **options):
                nonlocal calls
                answer = found(*args, **options)
                calls += 1
                if calls == limit:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

            return call

    mlflow.MlflowClient = Client


def kill_after_each_call(script: str) -> int:
    """Return the exit code of the run that was not killed; each is a fork, which has MLflow imported already."""
    limit, status = 0, signal.SIGKILL
    while status == signal.SIGKILL:
        limit += 1
        child = os.fork()
        if child == 0:
            count_calls(limit)
            runpy.run_path(script, run_name="__main__")
            sys.stdout.flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
    print(limit - 1, "kills", flush=True)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    sys.exit(kill_after_each_call(sys.argv[0]))
