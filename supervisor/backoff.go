package supervisor

import "time"

// pacer counts a slot's young deaths in a row.
type pacer struct {
	Backoff
	random   func() float64
	failures int
}

// next returns how long to wait after a worker that lived for age.
func (p *pacer) next(age time.Duration) time.Duration {
	if age >= p.Young {
		p.failures = 0
		return 0
	}
	p.failures++
	if p.failures == 1 {
		return 0
	}
	d := p.Min
	for i := 2; i < p.failures && d < p.Max; i++ {
		d *= 2
	}
	d = min(d, p.Max)
	return d - time.Duration(p.random()*float64(d)/4)
}
