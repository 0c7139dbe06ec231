"""Tasks for Celery that count, and note when they begin and end, and before and after each update.
The argument is how many to send."""
import os
import sys
import time

from celery import Celery
from prometheus_client import Counter, Gauge

broker = os.environ["BROKER_DIR"]
app = Celery("celery_killed", broker="filesystem://")
app.conf.update(
    broker_transport_options={"data_folder_in": broker, "data_folder_out": broker},
    worker_concurrency=3,
    worker_prefetch_multiplier=1,
)
done = Counter("celery_updates", "Updates.")
live = Gauge("celery_live", "Processes that count.", multiprocess_mode="liveall")
notes = os.open(os.path.join(broker, "notes"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


@app.task
def work():
    os.write(notes, b"begin %d\n" % os.getpid())
    live.set(1)
    for _ in range(200):
        os.write(notes, b"before %d\n" % os.getpid())
        done.inc()
        os.write(notes, b"after %d\n" % os.getpid())
        time.sleep(0.001)
    os.write(notes, b"end %d\n" % os.getpid())


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        work.delay()
