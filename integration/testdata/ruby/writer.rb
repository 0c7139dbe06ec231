# Writes metrics with GitLab's client. Each line of input is a number of rounds to make.
# After them it prints the values of its metrics, one JSON array
# [mode, name, labels, value] per line, and then "done".
require 'json'
require 'prometheus/client'

# In this client, label values need not be strings.
LABELS = ['plain', '', 'a "quoted" \n \\', "two\nlines", '{le="1"} 5,', 'é ☃ 𝕏', 200, -1.5, true, false, nil].map.with_index { |v, i| { value: v, i: i } }
MODES = %i[all liveall min max livesum].freeze

registry = Prometheus::Client.registry
rounds = registry.counter(:rb_rounds_total, 'Rounds.')
requests = registry.counter(:rb_requests_total, 'Requests.')
latency = registry.histogram(:rb_latency_seconds, 'Time to serve.', { app: 'x' }, [0.1, 0.5, 1])
size = registry.summary(:rb_size_bytes, 'Size of the answer.')
gauges = MODES.to_h { |mode| [mode, registry.gauge(:"rb_#{mode}", 'A gauge.', {}, mode)] }

round = lambda do
  n = rounds.increment
  LABELS.each { |labels| requests.increment(labels, labels[:i] + 0.5) }
  requests.increment({ value: 'many', i: n.to_i % 100 }) # more than the initial size of the file
  latency.observe({}, [0.0625, 0.25, 0.75, 3][n % 4])
  size.observe({}, n)
  gauges.each_value { |g| g.set({ pool: 'a' }, Process.pid % 7 - 3 + n) }
end

report = lambda do
  says = ->(mode, name, labels, value) { puts JSON.generate([mode, name, labels, value]) }
  [rounds, requests].each { |c| c.values.each { |labels, v| says.call('', c.name, labels, v.get) } }
  latency.values.each do |labels, v|
    v.get.each { |le, n| says.call('', "#{latency.name}_bucket", labels.merge(le: le), n) }
    says.call('', "#{latency.name}_bucket", labels.merge(le: '+Inf'), v.total_inf.get)
    says.call('', "#{latency.name}_count", labels, v.total.get)
    says.call('', "#{latency.name}_sum", labels, v.sum.get)
  end
  says.call('', "#{size.name}_sum", {}, size.get)
  says.call('', "#{size.name}_count", {}, rounds.get)
  gauges.each { |mode, g| g.values.each { |labels, v| says.call(mode, g.name, labels, v.get) } }
  puts 'done'
end

$stdout.sync = true
$stdin.each_line do |line|
  line.to_i.times { round.call }
  report.call
end
