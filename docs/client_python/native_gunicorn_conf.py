# gunicorn -c gunicorn_conf.py app:app
import multiprom_client

multiprom_client.install()
