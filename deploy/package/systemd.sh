#!/usr/bin/env bash
# Boots systemd in namespaces, in a fresh Debian with the deb of dist/ and Debian's gunicorn
# as app.service, set up as deploy/README.md says: multiprom@app.service has the requests of
# all workers, before and after a restart. Debian, as root; it needs debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."
deb=$(ls dist/multiprom_*_"$(dpkg --print-architecture)".deb)
root=$(mktemp -d)
chmod 755 "$root" # for users other than root
trap 'rm -rf --one-file-system "$root"' EXIT
. /etc/os-release
debootstrap --variant=minbase --include=gunicorn,python3-prometheus-client,curl,systemd,dbus "$VERSION_CODENAME" "$root" >/dev/null
cp "$deb" "$root/srv/multiprom.deb"
in_root=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root)
"${in_root[@]}" dpkg -i /srv/multiprom.deb
"${in_root[@]}" useradd -r app
"${in_root[@]}" mpctl writer python >"$root/srv/multiprom_client.py"
cat >"$root/srv/conf.py" <<'PY'
import sys

sys.path.insert(0, "/srv")
import multiprom_client

multiprom_client.install()
PY
cat >"$root/srv/app.py" <<'PY'
from prometheus_client import Counter

requests = Counter("requests", "Requests served.")


def app(environ, start_response):
    requests.inc()
    start_response("200 OK", [])
    return [b"hello\n"]
PY
cat >"$root/etc/systemd/system/app.service" <<'UNIT'
[Service]
User=app
ExecStart=/usr/bin/gunicorn --chdir /srv -c /srv/conf.py --workers 4 --bind 127.0.0.1:8099 app:app
UNIT
# The commands of deploy/README.md, up to those that need a running systemd.
awk '/^```$/ { n++; next } n == 1' deploy/README.md | grep -v '^systemctl ' >"$root/srv/setup.sh"
"${in_root[@]}" sh -e -c 'cd /usr/share/doc/multiprom/examples && sh -e /srv/setup.sh'
cat >"$root/srv/probe.sh" <<'SH'
#!/bin/sh
show() { curl -s http://127.0.0.1:9464/metrics | grep -E '^(requests_total|multiprom_processes.*live)'; }
{
	for _ in $(seq 240); do curl -sf http://127.0.0.1:8099/ >/dev/null && break; sleep 0.5; done
	for _ in $(seq 19); do curl -sf http://127.0.0.1:8099/ >/dev/null; done
	show
	systemctl restart multiprom@app
	show
	systemctl status --no-pager multiprom@app app
	journalctl --no-pager -u multiprom@app -u app
} >/srv/probe.out 2>&1
systemctl poweroff --force
SH
chmod +x "$root/srv/probe.sh"
cat >"$root/etc/systemd/system/probe.service" <<'UNIT'
[Unit]
Wants=app.service
After=app.service

[Service]
Type=oneshot
ExecStart=/srv/probe.sh

[Install]
WantedBy=multi-user.target
UNIT
"${in_root[@]}" systemctl --quiet enable probe.service
"${in_root[@]}" systemctl --quiet set-default multi-user.target
# A network, PIDs, mounts, a host name, IPC and control groups of its own.
timeout 300 unshare -n -p -f -m -u -i -C bash -e -s -- "$root" >"$root/srv/boot.log" 2>&1 <<'SH' || true
ip link set lo up
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup" || mount -t tmpfs tmpfs "$1/sys/fs/cgroup"
mount -t tmpfs tmpfs "$1/run"
mount --bind /dev "$1/dev"
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$1" /lib/systemd/systemd --log-target=console
SH
cat "$root/srv/probe.out" || { cat "$root/srv/boot.log"; exit 1; }
[ "$(grep -c '^requests_total 20$' "$root/srv/probe.out")" = 2 ]
[ "$(grep -c '^multiprom_processes{state="live"} 4$' "$root/srv/probe.out")" = 2 ]
echo "systemd has started it, and the requests of all workers are there"
