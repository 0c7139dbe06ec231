# gunicorn -c gunicorn_conf.py app:app
import subprocess


def child_exit(server, worker):
    # The worker's live gauges are gone from the next scrape on. Its counters stay.
    subprocess.run(["mpctl", "mark-dead", str(worker.pid)], timeout=5)
