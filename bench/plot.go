package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plot is a diagram with two logarithmic axes. Proportional growth is a line parallel to
// the dotted one.
type plot struct {
	title, x string
	unit     string // of y: ns or B
	lines    []line
}

// line is a list of points with positive coordinates, in ascending order of x.
type line struct {
	name string
	at   []xy
}

type xy struct{ x, y float64 }

// Positions in the SVG, in its units.
const (
	plotWidth, plotHeight = 640, 400
	plotLeft, plotRight   = 70, 620
	plotTop, plotBottom   = 60, 350
	legendAt, legendWidth = 44, 120
)

// grey and the colours are readable on white and on black.
const grey = "#767676"

var colours = []string{"#2f7fd8", "#d9730d", "#2e9e5b", "#a05fd0", "#c2477f"}

// axis maps values to positions: from is at low, to is at high.
type axis struct{ from, to, low, high float64 }

func (a axis) place(v float64) float64 {
	return a.low + (math.Log10(v)-math.Log10(a.from))/(math.Log10(a.to)-math.Log10(a.from))*(a.high-a.low)
}

// decades returns the powers of ten within the axis.
func (a axis) decades() (all []float64) {
	for v := math.Pow(10, math.Ceil(math.Log10(a.from)-1e-9)); v <= a.to*(1+1e-9); v *= 10 {
		all = append(all, v)
	}
	return all
}

// axes returns axes with a little room around the points.
func (p plot) axes() (x, y axis) {
	x = axis{math.Inf(1), 0, plotLeft, plotRight}
	y = axis{math.Inf(1), 0, plotBottom, plotTop}
	for _, l := range p.lines {
		for _, at := range l.at {
			x.from, x.to = min(x.from, at.x), max(x.to, at.x)
			y.from, y.to = min(y.from, at.y), max(y.to, at.y)
		}
	}
	for _, a := range []*axis{&x, &y} {
		a.from, a.to = a.from/1.4, a.to*1.4
	}
	return x, y
}

// svg draws the plot. Equal plots give equal bytes.
func (p plot) svg() string {
	var b strings.Builder
	x, y := p.axes()
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="%s">`+"\n", plotWidth, plotHeight, grey)
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
	}
	text(plotLeft, 18, "start", p.title)
	text((plotLeft+plotRight)/2, plotHeight-10, "middle", p.x)
	for _, v := range x.decades() {
		at := x.place(v)
		stroke(&b, grey, `stroke-opacity="0.3"`, xy{at, plotTop}, xy{at, plotBottom})
		text(at, plotBottom+18, "middle", thousands(int(math.Round(v))))
	}
	for _, v := range y.decades() {
		at := y.place(v)
		stroke(&b, grey, `stroke-opacity="0.3"`, xy{plotLeft, at}, xy{plotRight, at})
		text(plotLeft-6, at+4, "end", amount(v, p.unit))
	}
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="%s"/>`+"\n", plotLeft, plotTop, plotRight-plotLeft, plotBottom-plotTop, grey)
	for i, l := range p.lines {
		p.draw(&b, l, colours[i%len(colours)], x, y)
		legend := plotLeft + float64(i)*legendWidth
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%d" r="4" fill="%s"/>`+"\n", legend+4, legendAt-4, colours[i%len(colours)])
		text(legend+13, legendAt, "start", l.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw draws a line with its points. Each point has its numbers in a title. From the first
// point it draws a dotted line of proportional growth, as far as there is room.
func (p plot) draw(b *strings.Builder, l line, colour string, x, y axis) {
	placed := make([]xy, len(l.at))
	for i, at := range l.at {
		placed[i] = xy{x.place(at.x), y.place(at.y)}
	}
	first := l.at[0]
	factor := min(x.to/first.x, y.to/first.y)
	stroke(b, colour, `stroke-dasharray="2 4"`, placed[0], xy{x.place(first.x * factor), y.place(first.y * factor)})
	stroke(b, colour, `stroke-width="2"`, placed...)
	for i, at := range l.at {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>%s, %s: %s</title></circle>`+"\n",
			placed[i].x, placed[i].y, colour, html.EscapeString(l.name), thousands(int(at.x)), amount(at.y, p.unit))
	}
}

func stroke(b *strings.Builder, colour, style string, points ...xy) {
	places := make([]string, len(points))
	for i, p := range points {
		places[i] = fmt.Sprintf("%.1f,%.1f", p.x, p.y)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" %s/>`+"\n", strings.Join(places, " "), colour, style)
}

// amount returns three digits with a suitable unit, for bytes too.
func amount(v float64, unit string) string {
	if unit != "B" {
		return quantity(v, unit)
	}
	for _, u := range []string{"B", "kB", "MB"} {
		if v < 1000 {
			return digits(v) + " " + u
		}
		v /= 1000
	}
	return digits(v) + " GB"
}
