# Prints the output of GitLab's client for $prometheus_multiproc_dir.
require 'prometheus/client'
require 'prometheus/client/formats/text'

puts Prometheus::Client::Formats::Text.marshal_multiprocess
