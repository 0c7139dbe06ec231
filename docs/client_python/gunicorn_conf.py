# gunicorn -c gunicorn_conf.py app:app
import subprocess


def child_exit(server, worker):
    # The worker's live gauges leave the next scrape. Its counters stay.
    subprocess.run(["mpctl", "mark-dead", str(worker.pid)], timeout=5)
