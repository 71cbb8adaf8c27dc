package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// The plot in units of its own: where the axes are, and how large it is.
const (
	plotWidth, plotHeight = 720, 420
	plotLeft, plotRight   = 70, 700
	plotTop, plotBottom   = 40, 360
)

// plot maps what was measured to places: logins per second along a line, seconds along a logarithm.
type plot struct {
	most          float64 // logins per second
	fastest, slow float64 // seconds, powers of ten
}

func (p plot) x(perSecond float64) float64 {
	return plotLeft + (plotRight-plotLeft)*perSecond/p.most
}

func (p plot) y(seconds float64) float64 {
	share := math.Log(seconds/p.fastest) / math.Log(p.slow/p.fastest)
	return plotBottom - (plotBottom-plotTop)*share
}

// scale finds what there is to show. It is false when there is nothing.
func (r *Report) scale() (p plot, ok bool) {
	least, longest := math.Inf(1), 0.0
	for _, points := range r.Curves {
		for _, at := range points {
			if at.P50 <= 0 {
				continue
			}
			p.most = max(p.most, at.PerSecond)
			least, longest = min(least, at.P50), max(longest, at.P99)
		}
	}
	if p.most == 0 {
		return p, false
	}
	step := math.Pow(10, math.Floor(math.Log10(p.most)))
	p.most = math.Ceil(p.most/step*2) * step / 2
	p.fastest = math.Pow(10, math.Floor(math.Log10(least)))
	p.slow = max(math.Pow(10, math.Ceil(math.Log10(longest))), 10*p.fastest)
	return p, true
}

// Plot writes latency over throughput as SVG; nothing when no curve was measured.
func (r *Report) Plot(w io.Writer) error {
	p, ok := r.scale()
	if !ok {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	p.grid(&b)
	colours := []string{"#b3541e", "#1a5fb4"}
	for i, name := range curved() {
		points := slices.DeleteFunc(slices.Clone(r.Curves[name]), func(at Point) bool { return at.P50 <= 0 })
		if len(points) == 0 {
			continue
		}
		p.line(&b, points, colours[i], "", func(at Point) float64 { return at.P50 })
		p.line(&b, points, colours[i], ` stroke-dasharray="6 4"`, func(at Point) float64 { return at.P99 })
		what := name
		if c, err := chosen([]string{name}); err == nil {
			what = c[0].what
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", plotLeft+10, plotTop-22+16*i, colours[i], what)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">logins per second (solid: median, dashed: 99th percentile; %s)</text>`+"\n",
		(plotLeft+plotRight)/2, plotHeight-15, r.Date.Format("2006-01-02"))
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// grid draws the axes with their marks.
func (p plot) grid(b *strings.Builder) {
	line := func(x1, y1, x2, y2 float64) {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ccc"/>`+"\n", x1, y1, x2, y2)
	}
	for i := range 6 {
		at := p.most * float64(i) / 5
		line(p.x(at), plotTop, p.x(at), plotBottom)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f</text>`+"\n", p.x(at), plotBottom+18, at)
	}
	for at := p.fastest; at <= p.slow*1.01; at *= 10 {
		line(plotLeft, p.y(at), plotRight, p.y(at))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%.6g ms</text>`+"\n", plotLeft-6, p.y(at)+4, at*1e3)
	}
}

func (p plot) line(b *strings.Builder, points []Point, colour, style string, of func(Point) float64) {
	var places []string
	for _, at := range points {
		places = append(places, fmt.Sprintf("%.1f,%.1f", p.x(at.PerSecond), p.y(of(at))))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(places, " "), colour, style)
}
