# Prints what GitLab's client itself says of $prometheus_multiproc_dir.
require 'prometheus/client'
require 'prometheus/client/formats/text'

puts Prometheus::Client::Formats::Text.marshal_multiprocess
