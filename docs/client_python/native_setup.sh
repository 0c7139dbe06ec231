python3 -m venv --system-site-packages venv
site=$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mpctl writer python > "$site/multiprom_client.py"
echo 'import multiprom_client' > "$site/multiprom_client.pth"
