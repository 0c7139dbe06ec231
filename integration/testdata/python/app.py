"""A bare WSGI application."""
from urllib.parse import parse_qs

import metrics


def app(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    answer = metrics.count(environ["REQUEST_METHOD"], query["text"][0])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
