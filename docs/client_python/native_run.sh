mkdir -p /dev/shm/metrics
export PROMETHEUS_MULTIPROC_DIR=/dev/shm/metrics PROMETHEUS_MULTIPROC_FORMAT=mpm
venv/bin/python -m gunicorn -w 4 -b 127.0.0.1:8000 app:app &
mpctl serve --web.listen-address 127.0.0.1:9108 &
