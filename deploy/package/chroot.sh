#!/usr/bin/env bash
# Installs the deb of dist/ in a fresh Debian without Go, starts Debian's gunicorn there with
# four workers, and looks at the merged metrics. Debian, as root; it needs debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."
deb=$(ls dist/multiprom_*_"$(dpkg --print-architecture)".deb)
root=$(mktemp -d)
trap 'kill ${pid:-} 2>/dev/null || true; wait; umount -l "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT
. /etc/os-release
debootstrap --variant=minbase --include=gunicorn,python3-prometheus-client,curl "$VERSION_CODENAME" "$root" >/dev/null
mount -t proc proc "$root/proc"
cp "$deb" "$root/srv/multiprom.deb"
in_root=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root)
"${in_root[@]}" dpkg -i /srv/multiprom.deb
cat >"$root/srv/app.py" <<'PY'
from prometheus_client import Counter

requests = Counter("requests", "Requests served.")


def app(environ, start_response):
    requests.inc()
    start_response("200 OK", [])
    return [b"hello\n"]
PY
began=$(date +%s)
"${in_root[@]}" mpctl run -n 1 --dir /tmp/app --metrics 127.0.0.1:9464 -- \
	gunicorn --chdir /srv --workers 4 --bind 127.0.0.1:8099 app:app &
pid=$!
for _ in $(seq 100); do
	"${in_root[@]}" curl -sf http://127.0.0.1:8099/ >/dev/null 2>&1 && break
	sleep 0.2
done
for _ in $(seq 99); do "${in_root[@]}" curl -sf http://127.0.0.1:8099/ >/dev/null; done
"${in_root[@]}" curl -sf http://127.0.0.1:9464/metrics | grep -E '^(requests_total|multiprom_processes)'
"${in_root[@]}" curl -sf http://127.0.0.1:9464/metrics | grep -q '^requests_total 100$'
echo "after $(($(date +%s) - began)) s"
