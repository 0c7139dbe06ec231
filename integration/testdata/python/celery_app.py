"""Tasks for Celery, with a directory as its broker."""
import os

from celery import Celery
from prometheus_client import Counter, Gauge

broker = os.environ["BROKER_DIR"]
app = Celery("celery_app", broker="filesystem://")
app.conf.update(
    broker_transport_options={"data_folder_in": broker, "data_folder_out": broker},
    worker_concurrency=3,
    worker_max_tasks_per_child=5,
)
done = Counter("celery_done", "Tasks done.", ["queue"])
seen = Gauge("celery_seen", "Processes that have worked.", multiprocess_mode="livesum")


@app.task
def work():
    seen.set(1)
    done.labels("mail").inc()


if __name__ == "__main__":
    for _ in range(40):
        work.delay()
