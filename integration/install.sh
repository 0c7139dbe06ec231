#!/usr/bin/env bash
# Installs the real servers that the integration tests run against. Debian, as root.
set -euo pipefail
packages=(prometheus util-linux e2fsprogs squashfs-tools gunicorn python3-prometheus-client
	python3-flask python3-fastapi python3-uvicorn uwsgi-core uwsgi-plugin-python3 python3-celery python3-gevent python3-yaml systemd
	ruby-prometheus-client-mmap prometheus-pushgateway prometheus-node-exporter graphite-carbon victoria-metrics tmux chromium supervisor jq rpm)
missing=()
for p in "${packages[@]}"; do
	dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
